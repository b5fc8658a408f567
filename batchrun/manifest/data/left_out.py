"""The files that a pattern leaves out although they may be meant, in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from batchrun.base.text import listed, number_of
from batchrun.base.values import spell
from batchrun.manifest.data.globs import ALL_FOLDERS, Found, Why, any_case

SHOWN: Final = 5
"""Names that a message has; the rest are counted."""


def notes(pattern: str, found: Found, others: Iterable[Found]) -> Iterator[str]:
    """Yield what is worth a look in what *pattern* has found. A file of *others* is no loss."""
    if any(ALL_FOLDERS in part and part != ALL_FOLDERS for part in pattern.split("/")):
        yield f"`{pattern}`: `**` goes through folders only where it stands alone, such as `**/*`"
    if said := leaving_out(found, pattern, others):
        yield said


def leaving_out(found: Found, pattern: str, others: Iterable[Found] = ()) -> str | None:
    """Return what *pattern* leaves out, None where that is nothing.

    A file that one of *others* finds is no loss.
    """
    if not found.left_out:
        return None
    elsewhere = {path for other in others for path in other.files}
    left = {path: why for path, why in found.left_out.items() if path not in elsewhere}
    if not left:
        return None
    kinds = (Why.FOLDER, Why.LINKED, Why.UNREADABLE)
    folders = sum(why in kinds for why in left.values())
    counts = [
        number_of(number, word)
        for number, word in ((len(left) - folders, "file"), (folders, "folder"))
        if number
    ]
    names = ", ".join(_names(left, pattern))
    return f"`{pattern}` leaves out {' and '.join(counts)}: {names}"


def _names(left: Mapping[str, Why], pattern: str) -> Sequence[str]:
    """Return the names by their reasons, each with the way to have them."""
    start = _folder_of(pattern)
    said = []
    for why in dict.fromkeys(left.values()):
        paths = [path for path, each in left.items() if each is why]
        names = listed((f"`{spell(path.removeprefix(start))}`" for path in paths), most=SHOWN)
        said.append(f"{names} ({why}{_remedy(why, paths, pattern)})")
    return said


def _remedy(why: Why, paths: Sequence[str], pattern: str) -> str:
    if why is Why.CASE:
        folder = pattern[: pattern.rfind("/") + 1]
        return f"; write `{folder}{any_case(pattern, [path.rpartition('/')[2] for path in paths])}`"
    if why is Why.LINKED:
        return f"; add a `$glob` that names it, such as `{spell(paths[0])}/*`"
    return ""


def _folder_of(pattern: str) -> str:
    """Return how the paths of all that *pattern* finds begin."""
    parts = pattern.split("/")[:-1]
    plain = []
    for part in parts:
        if any(character in part for character in "*?["):
            break
        plain.append(part)
    return "/".join([*plain, ""])
