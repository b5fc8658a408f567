"""`--only NAME=V[,V]`: which cells are wanted, by the names that `exclude` knows.

A name of the manifest wins over a word of the results: a sheet may have a column `code`. What the
results say is then reached as `result.code`, which works in any case. A choice has such a name of
the manifest as `input.code`, as the results do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from batchrun.base.local_file import LocalFile
from batchrun.base.text import did_you_mean, nearest
from batchrun.base.values import spell
from batchrun.manifest.cells import OMIT, Cell
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.matching import reads_as, spelling
from batchrun.manifest.parse.namespace import unknown_model

OF_THE_LEDGER: Final = frozenset({"status", "code"})  # what the engine knows, not the manifest
OF_MARKS: Final = frozenset({"pick", "reject", "redo"})  # what people have said of cells
NOT_OF_CELLS: Final = OF_THE_LEDGER | OF_MARKS

RESULTS: Final = {
    **{name: name for name in ("model", "alias", "cell", "status", "code")},
    **{name: name for name in sorted(OF_MARKS)},
    "failure_code": "code",
}
"""The words of the results, and the names that a choice has for them."""

_OF_RESULTS: Final = "result."
_OURS: Final = "input."

MOST_KNOWN: Final = 1000
"""Values of an input among which a near miss is searched; among more, none is."""
LONGEST: Final = 60
"""Characters of a value that may have been typed with a slip."""


def known_names(manifest: Manifest) -> list[str]:
    """Return every input, var and column of the manifest."""
    names: dict[str, None] = {}
    for grid in manifest.grids:
        names.update(dict.fromkeys(grid.names))
        for table in grid.tables:
            names.update(dict.fromkeys(table.columns))
    for model in manifest.models:
        names.update(dict.fromkeys(model.inputs))
    return list(names)


def parse_only(manifest: Manifest, texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Parse the texts of `--only`; raise ValueError. Said twice, a name's values must all hold."""
    names = known_names(manifest)
    wanted: dict[str, tuple[str, ...]] = {}
    for text in texts:
        typed, equals, values = text.partition("=")
        if not equals:
            raise ValueError(f"`--only {text}`: expected NAME=VALUE[,VALUE]")
        name = _meant(typed, names)
        if name is None:
            hint = did_you_mean(typed, [*names, *RESULTS])
            raise ValueError(f"`--only {text}`: unknown name `{typed}`{hint}")
        chosen = tuple(_split(values))
        if name in {"model", "alias"}:
            _check_models(manifest, text, chosen)
        if name in wanted:
            chosen = tuple(value for value in wanted[name] if value in chosen)
            if not chosen:
                raise ValueError(
                    f"`--only {text}`: no cell has this and what was asked of `{typed}` before"
                )
        wanted[name] = chosen
    return wanted


def _meant(typed: str, names: Sequence[str]) -> str | None:
    """Return the name of a choice, None where there is no such name."""
    if typed in names:
        return f"{_OURS}{typed}" if typed in RESULTS else typed
    if (own := typed.removeprefix(_OURS)) in names:
        return _meant(own, names)
    return RESULTS.get(typed.removeprefix(_OF_RESULTS))


def _check_models(manifest: Manifest, text: str, chosen: Sequence[str]) -> None:
    models = {word for model in manifest.models for word in (model.alias, model.id)}
    for value in chosen:
        if value not in models:
            raise ValueError(f"`--only {text}`: {unknown_model(value, manifest.models)}")


def check_found(only: Mapping[str, tuple[str, ...]], cells: Iterable[Cell]) -> None:
    """Raise ValueError where no cell has one of the values, or none has all that must hold.

    Draws *cells* until that is known; `status`, `code` and marks are not looked at.
    """
    wanted = {name: set(values) for name, values in only.items() if name not in NOT_OF_CELLS}
    near: defaultdict[str, dict[str, None]] = defaultdict(dict)
    selected = False
    for cell in cells:
        selected = selected or selects(only, cell)
        for name, values in wanted.items():
            values -= {value for value in values if _holds(name, (value,), cell)}
            if values and len(near[name]) < MOST_KNOWN:
                near[name].update(dict.fromkeys(_words(name, cell)))
        wanted = {name: values for name, values in wanted.items() if values}
        if selected and not wanted:
            return
    _tell_missing(only, wanted, near)


def _words(name: str, cell: Cell) -> Iterable[str]:
    """Return what a cell's value may be called by, where it is short enough to be typed."""
    if name in {"cell", "model", "alias"}:
        return ()
    words = _spellings(name, cell)
    return (word for word in words if 0 < len(word) <= LONGEST)


def _tell_missing(
    only: Mapping[str, tuple[str, ...]],
    missing: Mapping[str, set[str]],
    near: Mapping[str, Mapping[str, None]],
) -> None:
    if any(missing.values()):
        lines = (
            line
            for name, values in missing.items()
            if values
            for line in _missing(name, [v for v in only[name] if v in values], only, near[name])
        )
        raise ValueError("\n".join(lines))
    if only.keys() - NOT_OF_CELLS:
        words = (f"{name}={','.join(map(spell, values))}" for name, values in only.items())
        raise ValueError(f"`--only {' --only '.join(words)}`: no cell has all of these")


def _missing(
    name: str,
    values: Iterable[str],
    only: Mapping[str, tuple[str, ...]],
    near: Mapping[str, None],
) -> Iterator[str]:
    """Yield a line for each of *values* that no cell has; one for a value with a comma in it."""
    typed = name.removeprefix(_OURS)
    if (whole := ",".join(only[name])) in near and len(only[name]) > 1:
        meant = _escaped(whole)
        yield f"`--only {typed}={spell(whole)}`: a comma parts two values; write `{meant}`"
        return
    for value in values:
        hint = _hint(value, near) if len(near) < MOST_KNOWN else ""
        said = f"`--only {typed}={spell(value)}`: no cell has this value{hint}"
        yield f"{said}{_other_word(name)}"


def _hint(value: str, near: Iterable[str]) -> str:
    found = reads_as(value, near) or nearest(value, near)
    return "" if found is None else f"; did you mean `{_escaped(found)}`?"


def _escaped(value: str) -> str:
    """Return a value as `--only` takes it (`_split`)."""
    return value.replace("\\", "\\\\").replace(",", "\\,")


def _other_word(name: str) -> str:
    """Say how the word of the results is reached that a name of the manifest hides."""
    word = name.removeprefix(_OURS)
    if word == name or word not in RESULTS:
        return ""
    return f"; `{word}` is a name of the manifest, and `{_OF_RESULTS}{word}` what the results say"


def _split(text: str) -> Iterator[str]:
    """Yield values between commas; a backslash before a comma makes it part of the value."""
    value = ""
    escaped = False
    for character in text:
        if escaped:
            value += character if character in ",\\" else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            yield value
            value = ""
        else:
            value += character
    yield value + ("\\" if escaped else "")


def selects(only: Mapping[str, tuple[str, ...]], cell: Cell) -> bool:
    """Say whether a cell is wanted; `status`, `code` and marks are not looked at."""
    return all(
        _holds(name, values, cell) for name, values in only.items() if name not in NOT_OF_CELLS
    )


def _holds(name: str, values: tuple[str, ...], cell: Cell) -> bool:
    if name == "cell":
        return any(value and cell.key.startswith(value.lower()) for value in values)
    if name in {"model", "alias"}:
        return cell.alias in values or cell.model in values
    return any(spelled in values for spelled in _spellings(name, cell))


def _spellings(name: str, cell: Cell) -> tuple[str, ...]:
    """Return what the value of a name of the manifest may be called by."""
    own = name.removeprefix(_OURS)
    name = own if own in RESULTS else name
    value = cell.values.get(name, OMIT)
    if value is OMIT:
        return ("",)
    if isinstance(value, LocalFile):
        return (value.stem, value.name, value.written)
    written = cell.texts.get(name)  # 9.90 in a sheet is 9.9 in the results
    return (spelling(value),) if written is None else (spelling(value), written)
