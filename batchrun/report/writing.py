"""Writes a page row by row, so that memory doesn't grow with the sweep.

The data is written first and the page last: a page on disk always finds its data. What is left of
the page before is removed after that.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import SavedFile
from batchrun.report.chunks import ROWS, Chunk, ShownFile, ShownLogs
from batchrun.report.data_files import Data, DataFiles
from batchrun.report.head import ChunkNames, Head
from batchrun.report.page_file import page
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow

NOTHING: Final[Mapping[str, bytes]] = {}

LogsOf = Callable[[PointRow], ShownLogs | None]
"""Finds the logs of a row's run in the folder, None where they aren't kept."""


class Drawing(Protocol):
    """Makes the thumbnails; *left* counts those for which there was no time."""

    left: int

    def of(self, file: SavedFile) -> str | None: ...


class ReportWriter:
    """The page of a sweep, as its rows come; *store* is the sweep's folder.

    *as_of* is a moment before its ledger was read, in nanoseconds: a page of a later one stays.
    """

    def __init__(
        self,
        store: OutputStore,
        drawing: Drawing,
        *,
        data: Data | None = None,
        name: str = REPORT,
        logs: LogsOf = lambda _: None,
        as_of: int | None = None,
    ) -> None:
        self._store = store
        self._logs = logs
        self._drawing = drawing
        self._data = DataFiles(store) if data is None else data
        self._name = name
        self._as_of = as_of
        self._chunk = Chunk()
        self._chunks: list[ChunkNames] = []
        self._axes: dict[str, None] = {}
        self._models: dict[str, str] = {}

    @property
    def rows(self) -> int:
        """How many points there are until now."""
        return sum(each.rows for each in self._chunks) + len(self._chunk)

    def add(self, row: PointRow) -> None:
        """Take in the next point; FolderError where its chunk can't be written."""
        self._models[row.cell.alias] = row.cell.model
        self._chunk.add(row, self._files(row), self._logs(row))
        if len(self._chunk) == ROWS:
            self._end_chunk()

    def end_rows(self) -> None:
        """Put the last rows into their chunk."""
        if len(self._chunk):
            self._end_chunk()

    def finish(self, head: Head, *, inside: Mapping[str, bytes] = NOTHING) -> None:
        """Write the page; FolderError if that fails, and the page before is as it was.

        *inside* are the chunks that stand in it.
        """
        self.end_rows()
        whole = replace(
            head,
            axes=tuple(self._axes),
            models=self._models,
            chunks=tuple(self._chunks),
            undrawn=self._drawing.left,
        )
        with self._data.replacing(self._store.path(self._name)):
            self._store.put(self._name, page(whole, inside), as_of=self._as_of)

    def _files(self, row: PointRow) -> list[ShownFile]:
        saved = () if row.saved is None else row.saved.there
        return [
            ShownFile(
                path=each.path,
                bytes=each.bytes,
                content_type=each.content_type,
                thumbnail=self._drawing.of(each),
            )
            for each in saved
        ]

    def _end_chunk(self) -> None:
        chunk, number = self._chunk, len(self._chunks)
        self._axes |= chunk.axes
        overview = self._data.put("o", number, chunk.overview())
        details = self._data.put("d", number, chunk.details())
        self._chunks.append(ChunkNames(len(chunk), overview, details))
        self._chunk = Chunk()
