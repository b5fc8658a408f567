"""Whether a 401 means that the key is refused: the account is asked, and only a 401 there says so.

One 401 among many answers is no revoked key: one host of many may not know it yet. It ended calls,
and left paid runs unfetched. `GET /v1/auth/me` is the documented way to test a key
(runflow-api.md, section 1).
"""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from batchrun.runflow.get_outcomes import Answer, Odd

ACCOUNT: Final = "/v1/auth/me"
LONGEST: Final = 10.0
"""Seconds that the account may take to be answered: another question waits for it."""
LONGEST_PAUSED: Final = 45.0
"""The same after an answer that isn't the API's own, which makes all calls pause, this one, too."""


class KeyCheck:
    """Asks for the account by *ask*, which sends once, and returns None where no answer comes."""

    def __init__(self, ask: Callable[[], Awaitable[Answer | Odd | None]]) -> None:
        self._ask = ask
        self._turn = anyio.Lock()
        self._asked_at = float("-inf")
        self._refused = False

    async def is_refused(self) -> bool:
        """Say whether the account, asked after this was called, answers with a 401, too.

        One question serves all that wait for it. No answer in a moment says nothing.
        """
        since = anyio.current_time()
        async with self._turn:
            if self._asked_at < since:
                asked_at = anyio.current_time()
                found = await self._asked(LONGEST)
                self._refused = isinstance(found, Odd) and found.says_key
                self._asked_at = asked_at
            return self._refused

    async def is_answered(self) -> bool:
        """Say whether the API itself answers when it is asked for the account, or refuses it."""
        found = await self._asked(LONGEST_PAUSED)
        return isinstance(found, Answer) or (found is not None and found.own_refusal)

    async def _asked(self, longest: float) -> Answer | Odd | None:
        with anyio.move_on_after(longest):
            return await self._ask()
        return None
