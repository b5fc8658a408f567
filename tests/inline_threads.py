"""A thread's work done on the spot: while a thread works, virtual time would run away.

Two engines of one test may play at once. Each asks for it, and the last one to end gives the
threads back: a patch of each its own would restore what the other one had put there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import anyio.to_thread


async def _inline(work: Callable[..., Any], *words: Any, **_named: Any) -> Any:
    return work(*words)


_patch: Final = patch.object(anyio.to_thread, "run_sync", _inline)
_wishes: Final[list[None]] = []


@contextmanager
def inline_threads() -> Iterator[None]:
    """Have `anyio.to_thread.run_sync` do its work on the spot."""
    if not _wishes:
        _patch.start()
    _wishes.append(None)
    try:
        yield
    finally:
        _wishes.pop()
        if not _wishes:
            _patch.stop()
