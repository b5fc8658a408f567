"""The name of a cell's files and its description: `outputs.name` and `metadata`, rendered.

A file name can never leave the output folder, whatever a value says: slashes in values are not
folders, and every part is made a plain name.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from batchrun.base.local_file import LocalFile
from batchrun.manifest.cells import OMIT, Cell
from batchrun.manifest.expressions.expression import Expression, NoValueError, Single, Text
from batchrun.manifest.expressions.scope import Values, texts_of
from batchrun.manifest.expressions.template import Reference, look_up, split
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.matching import spelling

DEFAULT_NAME: Final = "${alias}/${cell}"
_UNSAFE: Final = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"\\|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+'
)
_SLASHES: Final = re.compile(r"[/\\]+")
_RESERVED: Final = re.compile(
    r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*)?"
)
_SURELY_CLEAN: Final = 8
_LONGEST: Final = 120  # bytes of one part; an index, an extension and `.part` come after it
_DEEPEST: Final = 8


class _Names(Values):
    """A cell's values; a name without one is left out."""

    def __missing__(self, name: str) -> Any:
        return OMIT


def scope_of(cell: Cell) -> Mapping[str, Any]:
    """Return what `outputs.name` and `metadata` can refer to."""
    own = {"alias": cell.alias, "model": cell.model, "cell": cell.short}
    return _Names({**cell.values, "replicate": cell.replicate, **own}, cell.texts)


def file_name(manifest: Manifest, cell: Cell) -> str:
    """Return the cell's file name: a relative path with `/`, without extension. Never raises."""
    scope, template = scope_of(cell), manifest.outputs.name
    text = "".join(part if type(part) is str else _flat(part, scope) for part in _parts(template))
    parts = [clean for part in _SLASHES.split(text) if (clean := _clean(part))]
    name = "/".join(parts[-_DEEPEST:]) or cell.short
    # Of a long name the end was cut off, and the key with it.
    return f"{name}-{cell.short}" if cell.short not in name and holds_key(template) else name


def holds_key(name: Expression) -> bool:
    """Say whether each name that an `outputs.name` comes to has the cell's key in it."""
    return "cell" in name.names


def leaves(text: str) -> bool:
    """Say whether an `outputs.name` as it is written leads out of the folder.

    What its values hold is made safe cell by cell; what its author wrote would silently become
    another name.
    """
    literal = "".join(part if type(part) is str else "x" for part in split(text))
    return literal.startswith(("/", "\\", "~/")) or ".." in re.split(r"[/\\]+", literal)


def _parts(expression: Expression) -> tuple[str | Reference, ...]:
    match expression:
        case Text(parts=parts):
            return parts
        case Single(reference=reference):
            return (reference,)
        case _:
            return (str(expression.evaluate({})),)


def _flat(part: str | Reference, scope: Mapping[str, Any]) -> str:
    """Spell a value inside a file name: what separates folders elsewhere is a dash here."""
    assert isinstance(part, Reference)
    try:
        value = look_up(part, scope)
    except ValueError:
        return ""
    if value is OMIT or value is None:
        return ""
    if isinstance(value, LocalFile):
        return _SLASHES.sub("-", value.stem)
    return _SLASHES.sub("-", texts_of(scope).get(part.name) or spelling(value))


def _clean(part: str) -> str:
    """Return one part of a path as a name that every file system takes, or nothing."""
    # As the cell's key is, in nearly every name; what is reserved is shorter.
    if _SURELY_CLEAN <= len(part) <= _LONGEST and part.isascii() and part.isalnum():
        return part
    return _cleaned(part)


@lru_cache(maxsize=1024)  # of parts such as an alias, which many cells have in common
def _cleaned(part: str) -> str:
    part = _UNSAFE.sub("-", part.encode("utf-8", "replace").decode())
    part = re.sub(r"\s+", " ", part).lstrip(" .-").rstrip(" .")
    if len(part.encode()) > _LONGEST:
        part = part.encode()[:_LONGEST].decode(errors="ignore").strip(" .")
    return f"_{part}" if _RESERVED.fullmatch(part) else part


def user_metadata(manifest: Manifest, cell: Cell) -> dict[str, Any]:
    """Return the `metadata` of a cell's runs; a key whose value is left out is not there."""
    if not manifest.metadata:
        return {}
    scope = scope_of(cell)
    rendered = {}
    for name, expression in manifest.metadata.items():
        try:
            value = expression.evaluate(scope)
        except NoValueError:  # in a point that no check reached; metadata fails no run
            continue
        if value is not OMIT:
            rendered[name] = _without_files(value)
    return rendered


def _without_files(value: Any) -> Any:
    if isinstance(value, LocalFile):
        return value.stem
    if isinstance(value, dict):
        return {name: _without_files(below) for name, below in value.items()}
    return [_without_files(below) for below in value] if isinstance(value, list) else value
