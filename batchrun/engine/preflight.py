"""What must hold before a POST may leave: it is our key, our sweep, and the newest ledger of it.

A ledger that was restored from an old copy, or a key of somebody else, would pay for everything
again. Both are noticed by asking the service what it knows of us.
"""

from typing import Final

import anyio

from batchrun.engine.context import Context
from batchrun.engine.ref_filter import RefFilter
from batchrun.engine.stale_ledger import LedgerCheck
from batchrun.engine.waves import Wave
from batchrun.errors import KeyRefusedError
from batchrun.ledger.book import KnownRun, wave_number
from batchrun.settings import BY_ID

EACH_TENTH: Final = 10


class Preflight:
    """Opens once for the key and once for each wave; whoever comes meanwhile waits."""

    def __init__(self, context: Context, ref_filter: RefFilter) -> None:
        self._client = context.client
        self._folder = context.folder
        self._book = context.ledger.book
        self._ref_filter = ref_filter
        self._trust_key = context.settings.trust_key
        self._ledger_check = LedgerCheck(context, ref_filter)
        self._turn = anyio.Lock()
        self._key_checked = False
        self._opened: set[str] = set()
        self._turns: dict[str, anyio.Lock] = {}

    async def open(self, wave: Wave) -> None:
        """Return when attempts of *wave* may be sent.

        Of batches, which are many and small, each tenth is asked for: before the first POST more
        was asked already. Raises KeyRefusedError for somebody else's key, LostLedgerError for a
        ledger that is behind.
        """
        ref = wave.ref
        if ref in self._opened:
            return  # a check of another wave that hangs must not hold it up
        await self.check_key()
        if wave.batch and wave_number(ref) % EACH_TENTH:
            return
        async with self._turns.setdefault(ref, anyio.Lock()):
            if ref not in self._opened:
                self._ledger_check.check_new_wave(await self._ref_filter.runs_of(ref) or ())
                self._opened.add(ref)
        self._turns.pop(ref, None)

    async def check_key(self) -> None:
        """Return if the key sees what the ledger knows; KeyRefusedError if it doesn't."""
        if not self._key_checked:
            async with self._turn:
                await self._check_key_once()

    async def _check_key_once(self) -> None:
        if self._key_checked:
            return
        await self._check_organisation()
        await self._check_newest_run()
        self._opened |= set(await self._ledger_check.check())
        self._key_checked = True

    async def _check_organisation(self) -> None:
        ours = await self._client.account()
        sweep = self._book.sweep
        assert sweep is not None
        if ours is None or self._trust_key:
            return
        if sweep.organisation is None:
            await self._folder.remember_organisation(ours)
        else:
            check_organisation(ours, sweep.organisation)

    async def _check_newest_run(self) -> None:
        newest = self._book.newest
        if newest is None or self._trust_key:
            return
        if not await self._sees(newest):
            raise KeyRefusedError(
                f"this key doesn't see run {newest.run_id}, the newest in the ledger; use the key "
                "that began this sweep, or --trust-key if the service forgets old runs"
            )

    async def _sees(self, newest: KnownRun) -> bool:
        """Say whether the key sees the run: by its id, or in its wave where that takes long."""
        seen = False
        async with anyio.create_task_group() as tasks:

            async def ask_list() -> None:
                nonlocal seen
                await anyio.sleep(BY_ID)
                runs = await self._ref_filter.runs_of(newest.client_ref) or ()
                if any(run.id == newest.run_id for run in runs):
                    seen = True
                    tasks.cancel_scope.cancel()

            tasks.start_soon(ask_list, name="ask the list, too")
            seen = await self._client.get_run(newest.run_id) is not None
            tasks.cancel_scope.cancel()
        return seen


def check_organisation(ours: str | None, theirs: str | None) -> None:
    """Raise KeyRefusedError if both are known and differ."""
    if None not in {ours, theirs} and ours != theirs:
        raise KeyRefusedError(
            f"the key belongs to organisation {ours}, the ledger to {theirs}; "
            "use the key that began this sweep, or another --label or --outputs"
        )
