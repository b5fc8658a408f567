"""Files at storage hosts: which address may be opened, and how a transfer is tried again.

Storage hosts are no part of the API: their transfers carry no key, cost nothing, wait for no
limiter, and may be repeated at will.
"""

from collections.abc import Awaitable, Callable

import anyio
import httpx

from batchrun.base.endpoint import is_loopback
from batchrun.runflow.http.certificates import NoWayError


class BrokenTransferError(Exception):
    """A transfer ended early, and may be tried again; *pause* is the wait that was asked for."""

    def __init__(self, message: str, *, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def broken(error: Exception, place: str) -> BrokenTransferError:
    """Return the error of a transfer to or from *place* that met *error* of the HTTP library.

    Its own text may have anything in it; where the way is barred, it is ours.
    """
    if isinstance(error, NoWayError):
        return BrokenTransferError(f"{place}: {error}")
    return BrokenTransferError(f"{type(error).__name__} from {place}")


async def keep_trying(
    transfer: Callable[[], Awaitable[None]],
    *,
    tries: int,
    first_pause: float,
    longest_pause: float,
    jitter: Callable[[], float] = lambda: 0.0,
) -> None:
    """Make the *transfer*, at most *tries* times; BrokenTransferError of the last try.

    Pauses are seconds, and double from *first_pause* on; they are longer where the host asks so.
    *jitter* gives the part of a pause that is added to it.
    """
    for number in range(tries):
        try:
            await transfer()
        except BrokenTransferError as error:
            if number + 1 == tries:
                raise
            doubled = first_pause * 2.0**number * (1 + jitter())
            await anyio.sleep(min(longest_pause, max(doubled, error.pause or 0.0)))
        else:
            return


def may_be_opened(url: httpx.URL, *, loopback: bool) -> bool:
    """Say whether *url* is https, or with *loopback* http to this machine (the simulator's)."""
    if not url.host or url.port not in {None, *range(1, 2**16)}:
        return False
    return url.scheme == "https" or (loopback and url.scheme == "http" and is_loopback(url.host))
