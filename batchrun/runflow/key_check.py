"""Whether a 401 means that the key is refused: the account is asked, and only a 401 there says so.

One 401 among many answers is no revoked key: one host of many may not know it yet. It ended calls,
and left paid runs unfetched. `GET /v1/auth/me` is the documented way to test a key
(runflow-api.md, section 1).
"""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

ACCOUNT: Final = "/v1/auth/me"


class KeyCheck:
    """Asks by *ask*, once for all 401s that came before it was asked."""

    def __init__(self, ask: Callable[[], Awaitable[bool]]) -> None:
        self._ask = ask
        self._turn = anyio.Lock()
        self._asked_at = float("-inf")
        self._refused = False

    async def is_refused(self) -> bool:
        """Say whether the account, asked after this was called, answers with 401, too."""
        since = anyio.current_time()
        async with self._turn:
            if self._asked_at < since:
                asked_at = anyio.current_time()
                self._refused = await self._ask()
                self._asked_at = asked_at
            return self._refused
