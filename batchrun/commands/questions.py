"""The questions to the service that come before a call begins, each in an event loop of its own.

A signal breaks off the command line's by itself. A call in a thread of a program is asked to stop
by a word on a list, so that list is looked at meanwhile: a service that hangs would hold up the
program for all of their patience.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar, TypeVarTuple, Unpack

import anyio

from batchrun.errors import UsageError

T = TypeVar("T")
Words = TypeVarTuple("Words")

LATEST: Final = 0.1
"""Seconds until a word is seen."""

_STOP: Final[ContextVar[Sequence[str] | None]] = ContextVar("asked to stop", default=None)


@contextmanager
def broken_off_by(asked_to_stop: Sequence[str]) -> Iterator[None]:
    """Break off the questions that are put inside, once a word is on the list."""
    token = _STOP.set(asked_to_stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def answered(question: Callable[[Unpack[Words]], Awaitable[T]], *words: *Words) -> T:
    """Return the answer to a *question*; UsageError where it was broken off."""
    stop = _STOP.get()
    if stop is None:
        return anyio.run(question, *words)
    return anyio.run(_unless_stopped, question, words, stop)


async def _unless_stopped(
    question: Callable[[Unpack[Words]], Awaitable[T]],
    words: tuple[*Words],
    stop: Sequence[str],
) -> T:
    answers: list[T] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            while not stop:
                await anyio.sleep(LATEST)
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch, name="asked to stop")
        try:
            answers.append(await question(*words))
        except Exception as error:  # noqa: BLE001  (a task group would wrap it)
            errors.append(error)
        tasks.cancel_scope.cancel()
    for raised in errors:
        raise raised
    if not answers:
        raise UsageError("the call was stopped before it began; nothing was sent")
    return answers[0]
