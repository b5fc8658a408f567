"""Where in a run's output its files are. Pure; the shapes are in `docs/api.md`."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from batchrun.base.first_bytes import sniffed
from batchrun.runflow.inline import SHORTEST

_BASE64: Final = ("b64_json", "base64", "data")
_NOTHING: Final[tuple[Any, ...]] = (None, [], {}, "")
_OTHER_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_PLACE: Final = re.compile(r"(?:.*_)?(?:urls?|uri|images?|videos?|audios?)|outputs")
_ABOUT: Final = frozenset({"type", "status", "state", "content_type", "mime_type", "format", "id"})
"""Names of places for files, and of texts that say nothing without one."""

_TYPES: Final = ("image", "video", "audio")


class OutputFile(Struct, frozen=True, kw_only=True):
    """One file of a run: a URL that soon expires (or a data: URI), and image, video or audio.

    The URL is empty where the output has a place for the file, and no address yet.
    """

    url: str
    type: str | None = None


def output_files(output: Any) -> tuple[OutputFile, ...]:
    """Return the files of *output* in its own order, each URL once.

    A place in a list of files is a file, also where it has no address that can be understood: it is
    owed, and isn't passed over.

    The normalised `outputs` list is believed alone: models that send it repeat the same files
    under older names, signed differently. Then come the `*_urls` lists, then any `url`, then any
    text at all that is a URL, and only where there is none of these, files that stand in the output
    itself as base64.
    """
    unclear: tuple[OutputFile, ...] = ()
    for reader in (_normalised, _lists, _named, _anywhere, _inlined):
        found = _distinct(reader(output))
        if any(_is_url(file.url) for file in found):
            return found
        unclear = unclear or found
    return unclear or _distinct(_unheard_of(output))


def _distinct(files: Iterable[OutputFile]) -> tuple[OutputFile, ...]:
    """Return *files* without those whose address came before."""
    found: list[OutputFile] = []
    seen = set[str]()
    for file in files:
        if file.url not in seen:
            found.append(file)
            seen.update({file.url} - {""})  # no address is no sign of one file
    return tuple(found)


def address_of(url: str) -> str:
    """Return what stays of a file's address when it is signed anew; "" where it has none."""
    if url[:5].lower() == "data:":
        return blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return urlsplit(url).path or url


def is_empty(output: Any) -> bool:
    """Say whether an output that shows no files shows nothing at all: then it may be still to come.

    Not empty are `false` and 0. A list of files that is there and empty is a list of none *yet*,
    whatever stands beside it. So is a place for a file without an address, unless a text stands
    beside it: then that is what the run made.
    """
    if not isinstance(output, Mapping):
        return output in _NOTHING
    names = [name for name in output if name == "outputs" or str(name).endswith("_urls")]
    if all(output[name] in _NOTHING for name in names or output):
        return True
    leaves = list(_leaves(output))
    awaited = any(value in _NOTHING and _PLACE.fullmatch(name) for name, value in leaves)
    return bool(awaited or "outputs" in output) and not _says_something(leaves)


def _says_something(leaves: Iterable[tuple[str, Any]]) -> bool:
    """Say whether a text stands in an output that isn't about a file."""
    return any(
        isinstance(value, str) and value.strip() and name not in _ABOUT for name, value in leaves
    )


def _leaves(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield each value that holds no other, with its name in lower case.

    A stack of our own: a body nested a thousand deep must not end in a RecursionError.
    """
    stack: list[tuple[str, Any]] = [("", output)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping) and value:
            stack += [(str(key).lower(), below) for key, below in value.items()]
        elif isinstance(value, list) and value:
            stack += [(name, below) for below in value]
        else:
            yield name, value


def _normalised(output: Any) -> Iterator[OutputFile]:
    entries = output.get("outputs") if isinstance(output, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        url, given = (
            (entry.get("url"), entry.get("type")) if isinstance(entry, Mapping) else (entry, None)
        )
        named = isinstance(entry, Mapping) and "url" in entry
        if url is None and (files := list(_inlined(entry))):
            yield from files
        elif entry is None or (named and url is None):
            yield OutputFile(url="", type=_type_of(given))
        elif isinstance(url, str) and (named or _is_url(url)):
            yield OutputFile(url=_quoted(url), type=_type_of(given) or _type_of(url))


def _lists(output: Any) -> Iterator[OutputFile]:
    """Read `image_urls` first, then the other `*_urls`."""
    if not isinstance(output, Mapping):
        return
    names = [name for name in output if isinstance(name, str) and name.endswith("_urls")]
    for name in sorted(names, key=lambda name: name != "image_urls"):
        for url in output[name] if isinstance(output[name], list) else ():
            if url is None:
                yield OutputFile(url="", type=_type_of(name))
            elif isinstance(url, str):
                yield OutputFile(url=_quoted(url), type=_type_of(name) or _type_of(url))


def _named(output: Any) -> Iterator[OutputFile]:
    """Read every `url` and `*_url` at any depth but thumbnails, and lists of bare URLs."""
    for path, url in _texts(output, (), _is_url):
        name = path[-1] if path else ""
        if not name.startswith(("thumbnail", "preview")) and (
            name in {"url", "[]"} or name.endswith("_url")
        ):
            yield _guessed(path, url)


def _unheard_of(output: Any) -> Iterator[OutputFile]:
    """Read every `url` and `*_url` that is an address of a scheme that can't be fetched."""
    for path, url in _texts(output, (), _OTHER_SCHEME.match):
        if path and (path[-1] == "url" or path[-1].endswith("_url")):
            yield _guessed(path, url)


def _anywhere(output: Any) -> Iterator[OutputFile]:
    for path, url in _texts(output, (), _is_url):
        if url[:5].lower() == "data:" or " " not in url.strip():  # else it is prose
            yield _guessed(path, url)


def _guessed(path: tuple[str, ...], url: str) -> OutputFile:
    return OutputFile(
        url=_quoted(url),
        type=next(filter(None, map(_type_of, reversed(path))), None) or _type_of(url),
    )


def _inlined(output: Any) -> Iterator[OutputFile]:
    """Read base64 whose first bytes are a file's: under `b64_json`, `base64` or `data`, and any
    text that is as long as only a file's is.
    """
    stack: list[tuple[str, Any, str | None]] = [("", output, None)]
    while stack:
        name, value, kind = stack.pop()
        if isinstance(value, str):
            if (name in _BASE64 or len(value) >= SHORTEST) and _starts_a_file(value):
                yield OutputFile(url=f"data:;base64,{value}", type=kind or _type_of(name))
        elif isinstance(value, list):
            stack += [(name, below, kind) for below in reversed(value)]
        elif isinstance(value, Mapping):
            kind = _type_of(value.get("type"))
            stack += [(str(word), below, kind) for word, below in value.items()][::-1]


def _starts_a_file(text: str) -> bool:
    try:
        return sniffed(base64.b64decode(text[:64], validate=True)) is not None
    except (ValueError, binascii.Error):
        return False


def _quoted(url: str) -> str:
    """Return an address as it can be asked for: blanks around it are none of it, others quoted."""
    return url if url[:5].lower() == "data:" else "%20".join(url.strip().split(" "))


def _texts(
    value: Any, path: tuple[str, ...], wanted: Callable[[str], object]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text that is *wanted*, with the names that lead to it, in the order written.

    A stack of our own: a body nested a thousand deep must not end in a RecursionError.
    """
    stack: list[tuple[Any, tuple[str, ...]]] = [(value, path)]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str):
            if wanted(value):
                yield path, value
        elif isinstance(value, Mapping):
            stack += [(below, (*path[-2:], str(name))) for name, below in value.items()][::-1]
        elif isinstance(value, list):
            stack += [(below, (*path[-2:], "[]")) for below in value][::-1]


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if value[:5].lower() == "data:":
        return "," in value
    value = value.strip()
    if not value[:8].lower().startswith(("http://", "https://")) or not value.isprintable():
        return False
    try:
        return bool(urlsplit(value).hostname)
    except ValueError:
        return False


def _type_of(text: object) -> str | None:
    """Read image, video or audio from `image`, `image/png`, `image_urls`, `data:image/png,…`."""
    word = str(text).lower().removeprefix("data:")
    return next((name for name in _TYPES if word.startswith(name)), None)
