"""Transfers to and from storage hosts: when they are tried again, and what may be opened."""

import anyio
import httpx
import pytest

from batchrun.runflow.storage import BrokenTransferError, keep_trying, may_be_opened


class Transfer:
    """Breaks as often as it has *pauses*, asking for each of them; remembers when it was tried."""

    def __init__(self, *pauses: float | None) -> None:
        self._pauses = list(pauses)
        self.moments: list[float] = []

    async def __call__(self) -> None:
        self.moments.append(anyio.current_time())
        if self._pauses:
            raise BrokenTransferError("it broke", pause=self._pauses.pop(0))


def waits(transfer: Transfer) -> list[float]:
    pairs = zip(transfer.moments, transfer.moments[1:], strict=False)
    return [round(after - before, 6) for before, after in pairs]


async def test_pauses_double_up_to_the_longest() -> None:
    transfer = Transfer(None, None, None, None)

    await keep_trying(transfer, tries=5, first_pause=2.0, longest_pause=10.0)

    assert waits(transfer) == [2.0, 4.0, 8.0, 10.0]


async def test_a_pause_that_the_host_asks_for_is_kept_up_to_the_longest() -> None:
    transfer = Transfer(5.0, 3600.0)

    await keep_trying(transfer, tries=3, first_pause=2.0, longest_pause=10.0)

    assert waits(transfer) == [5.0, 10.0]


async def test_a_host_that_asks_for_no_pause_is_not_asked_without_one() -> None:
    transfer = Transfer(0.0, 0.0, 0.5)

    await keep_trying(transfer, tries=4, first_pause=2.0, longest_pause=10.0)

    assert waits(transfer) == [2.0, 4.0, 8.0]


async def test_jitter_is_added_to_what_is_doubled() -> None:
    transfer = Transfer(None, None)

    await keep_trying(transfer, tries=3, first_pause=1.0, longest_pause=9.0, jitter=lambda: 0.5)

    assert waits(transfer) == [1.5, 3.0]


async def test_the_last_try_tells_why_it_broke() -> None:
    transfer = Transfer(*[None] * 9)

    with pytest.raises(BrokenTransferError, match="it broke"):
        await keep_trying(transfer, tries=3, first_pause=1.0, longest_pause=9.0)

    assert len(transfer.moments) == 3


@pytest.mark.parametrize(
    ("url", "loopback", "opened"),
    [
        ("https://files.test/a", False, True),
        ("http://files.test/a", True, False),
        ("http://127.0.0.1:8/a", True, True),
        ("https://127.0.0.1:8/a", False, True),
        ("http://127.0.0.1:8/a", False, False),
        ("http://localhost/a", True, True),
        ("http://localhost.evil.test/a", True, False),
        ("https:///a", True, False),
        ("ftp://files.test/a", True, False),
        ("/a", True, False),
    ],
)
def test_only_https_is_opened_and_this_machine_where_the_api_is_on_it(
    url: str, *, loopback: bool, opened: bool
) -> None:
    assert may_be_opened(httpx.URL(url), loopback=loopback) is opened
