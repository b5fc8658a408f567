"""Small pictures beside the large ones, made once for each content. Without Pillow there are none.

The name is the hash of the file that the picture is of, so that a file that is fetched again, or is
in two folders, is never drawn twice. A file that can't be drawn has none: the page shows itself.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from batchrun.base.output_store import OutputStore, on_disk
from batchrun.base.regular_file import open_regular
from batchrun.errors import FolderError
from batchrun.ledger.records import SavedFile
from batchrun.report.labels import below_page

try:
    from PIL import Image
except ImportError:  # the extra `report`
    DRAWS = False
else:
    DRAWS = True

FOLDER: Final = "report/thumbs"

SIDE: Final = 320
"""Pixels of the longer side: a tile's, on a screen with two pixels for each of its points."""

SMALL: Final = 24 << 10
"""Bytes of a picture up to which it is its own thumbnail."""

DRAWN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})

PIXELS: Final = 40_000_000
"""Pixels of a picture that is drawn at most, in some 300 MB of the call's memory: more than 8K."""

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
"""What a file may be, whatever the server calls it: others have programs run, as PostScript does.

AVIF is the last: a Pillow without it finds the others first.
"""


class Thumbnails:
    """The thumbnails in *store*; *until* says when no further one is made in this call."""

    def __init__(self, store: OutputStore, *, until: Callable[[], bool]) -> None:
        self._store = store
        self._until = until
        self._there = _names_below(store.path(FOLDER))
        self.left = 0

    def of(self, file: SavedFile) -> str | None:
        """Return the address of the small picture of *file*, None where there is none."""
        if file.content_type not in DRAWN or file.bytes <= SMALL:
            return None
        name = f"{file.sha256[:2]}/{file.sha256[:32]}.webp"
        if name in self._there:
            return f"{FOLDER}/{name}"
        if not DRAWS:
            return None
        if self._until():
            self.left += 1
            return None
        return self._drawn(file, name)

    def _drawn(self, file: SavedFile, name: str) -> str | None:
        data = drawn(self._store.path(file.path))
        if data is None:
            return None
        try:
            self._store.put(f"{FOLDER}/{name}", data)
        except FolderError:  # the page shows the file itself; of the next ones it is the same
            self._until = lambda: True
            self.left += 1
            return None
        self._there.add(name)
        return f"{FOLDER}/{name}"


class ThumbnailsOfLabels:
    """The thumbnails of several sweeps, each in its own folder below *base*: its own page has them.

    Files come as the page of all has them, sweep by sweep. All that are missing are made.
    """

    left = 0

    def __init__(self, base: Path, *, by: str) -> None:
        self._base = base
        self._by = by
        self._last: tuple[str, Thumbnails] | None = None

    def of(self, file: SavedFile) -> str | None:
        """Return the address of the small picture of *file*, as that page has it."""
        below, path = below_page(file.path)
        if self._last is None or self._last[0] != below:
            store = OutputStore(self._base / on_disk(below), by=self._by)
            self._last = below, Thumbnails(store, until=lambda: False)
        found = self._last[1].of(replace(file, path=path))
        return None if found is None else f"{below}{found}"


def drawn(path: Path) -> bytes | None:
    """Return a small picture of the file at *path* as WebP, None where it can't be drawn."""
    out = BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a picture of gigapixels
            with open_regular(path) as file, Image.open(file, formats=FORMATS) as picture:
                picture.draft("RGB", (2 * SIDE, 2 * SIDE))
                if picture.width * picture.height > PIXELS:
                    return None
                picture.thumbnail((SIDE, SIDE))
                mode = "RGBA" if picture.has_transparency_data else "RGB"
                picture.convert(mode).save(out, "WEBP", quality=80)
    except Exception:  # noqa: BLE001  (a decoder raises anything; the page shows the file itself)
        return None
    return out.getvalue()


def _names_below(folder: Path) -> set[str]:
    """Return the names of all thumbnails, in one look at each of the folders."""
    names = set[str]()
    with suppress(OSError):  # one that can't be read has none for us
        for group in os.scandir(folder):
            with suppress(OSError):
                names |= {f"{group.name}/{each.name}" for each in os.scandir(group.path)}
    return names
