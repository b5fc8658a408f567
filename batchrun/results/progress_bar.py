"""The bar of a terminal. The only module that knows tqdm, and imported only where one is shown."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from batchrun.base.progress import Moment
from batchrun.base.said import say
from batchrun.base.text import for_terminal
from batchrun.results.bar_line import bar_line
from batchrun.results.progress_lines import Shown, Standings

T = TypeVar("T")


class _Tqdm(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """Draws *standings* as they are when it is drawn. Has no thread to refresh it: `tick` does."""

    monitor_interval = 0

    def __init__(self, standings: Standings, **rest: Any) -> None:
        self._standings = standings
        super().__init__(**rest)

    def __str__(self) -> str:
        return bar_line(self._standings.view(self.format_dict["elapsed"]), _columns(self.fp))


def _columns(stream: TextIO) -> int | None:
    """Return the width of a terminal, None where it isn't known.

    A pseudo-terminal without a size says 0, and tqdm would fit the bar into that.
    """
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def counted(items: Iterable[T], total: int, stream: TextIO) -> Iterator[T]:
    """Yield *items*, and show how far that is, where it takes long and *stream* is a terminal."""
    bar: Iterable[T] = tqdm(
        items, total=total, file=stream, disable=None, delay=1.0, leave=False, unit=" cells"
    )
    yield from bar


class Bar(Shown):
    """One tqdm bar; what earlier calls did counts as done, and not for the pace."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._bar: _Tqdm | None = None

    def start(self, total: int, now: Callable[[], Moment]) -> None:
        super().start(total, now)
        self._bar = _Tqdm(
            self.standings,
            file=self._stream,
            unit="cell",
            nrows=24,  # else it asks, and one that doesn't know has none: see `_columns`
            mininterval=0.2,
            miniters=0,
        )

    def note(self, message: str) -> None:
        if self._bar is None:
            say(message, self._stream)
        else:
            self._bar.write(for_terminal(message), file=self._stream)

    def tick(self) -> None:
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _changed(self) -> None:
        if self._bar is not None:
            self._bar.update(0)  # draws, if it is long enough ago that it did
