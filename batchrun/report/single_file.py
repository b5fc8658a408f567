"""A page in one file, to send: its data and its pictures stand in it. It is small, or refused.

The files themselves stand in it where there is room, else their thumbnails: a page of 25 MB opens
at once and goes through mail, one of 100 MB does neither.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from batchrun.base.output_store import OutputStore
from batchrun.base.regular_file import open_regular
from batchrun.base.text import size_of
from batchrun.errors import UsageError
from batchrun.ledger.records import SavedFile
from batchrun.report.data_files import DataInside
from batchrun.report.embedded import embedded
from batchrun.report.head import Head
from batchrun.report.thumbnails import SMALL
from batchrun.report.writing import Drawing, ReportWriter
from batchrun.results.rows import PointRow

SINGLE: Final = "report-single.html"

MOST: Final = 25_000_000
"""Bytes of a page."""


class _TooLargeError(Exception):
    """The page has more than MOST bytes."""


class _Media:
    """Files as `data:` addresses, by their paths."""

    def __init__(self, store: OutputStore, *, whole: bool) -> None:
        self._store = store
        self._whole = whole
        self.addresses: dict[str, str] = {}
        self.size = 0

    def take(self, file: SavedFile, thumbnail: str | None) -> None:
        if thumbnail is not None:
            self._put(thumbnail, "image/webp")
        if self._whole or file.bytes <= SMALL:
            self._put(file.path, file.content_type or "application/octet-stream")

    def _put(self, path: str, content_type: str) -> None:
        size = (self._store.size(path) or 0) * 4 // 3
        if path in self.addresses or not size:
            return
        self.size += size
        if self.size > MOST:
            raise _TooLargeError
        with suppress(OSError):  # it went meanwhile: the page says that it isn't there
            with open_regular(self._store.path(path)) as file:
                data = b64encode(file.read()).decode()
            self.addresses[path] = f"data:{content_type};base64,{data}"


def write_single(
    store: OutputStore,
    head: Callable[[], Head],
    rows: Callable[[], Iterator[PointRow]],
    thumbnails: Drawing,
    *,
    name: str = SINGLE,
    instead: str = "send the folder instead: report.html with report/ and files/ beside it",
) -> str:
    """Write the page of *rows*; return what is said of it: where it is, and what stands in it.

    *head* is asked for when all rows were there. Raises UsageError where even their thumbnails are
    too many; it says what to do *instead*.
    """
    for whole in (True, False):
        data, media = DataInside(), _Media(store, whole=whole)
        writer = ReportWriter(store, thumbnails, data=data, name=name)
        try:
            addresses = _gathered(writer, rows(), thumbnails, data, media)
        except _TooLargeError:
            continue
        writer.finish(head(), inside={**data.chunks, "media": addresses})
        path, has = (
            store.path(name),
            "its files" if whole else "thumbnails; the files are too large",
        )
        return f"{path}: {size_of(path.stat().st_size)}, with {has}"
    raise UsageError(f"the page would have more than {size_of(MOST)} in one file; {instead}")


def _gathered(
    writer: ReportWriter,
    rows: Iterator[PointRow],
    thumbnails: Drawing,
    data: DataInside,
    media: _Media,
) -> bytes:
    """Give all *rows* to the page; return its pictures. Raises _TooLargeError."""
    for row in rows:
        writer.add(row)
        for file in () if row.saved is None else row.saved.there:
            media.take(file, thumbnails.of(file))
    addresses = embedded(media.addresses)
    writer.end_rows()
    if data.size + len(addresses) > MOST:
        raise _TooLargeError
    return addresses
