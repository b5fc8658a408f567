"""Whose a run is: decided here alone, for a lost answer, for a crash, and before the first request.

    match_runs     by its tag, in memory: of which attempt in doubt it is, if of any
    unrecorded     by the ledger: whether it is one too many
    identify       by asking the service: for runs that don't show it
    with_intents   by the ledger: ours with an intent, or ours without one

A list may leave out a run's metadata, its `client_ref`, or both. **A run that doesn't show whose
it is counts as unknown, never as foreign.** It may be the very run that is looked for. Once such a
run was taken for foreign, and was made, and paid, again. So the service is asked for it by its id,
and for its batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.engine.batch_items import BatchItems
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt
from batchrun.engine.run_tag import RunTag, is_ours, tag_of
from batchrun.engine.waves import Wave
from batchrun.errors import LostLedgerError
from batchrun.ledger.book import Book
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.records import Intent
from batchrun.ledger.scan import intents_of, keys_of, known_ids
from batchrun.runflow.wire import Run
from batchrun.sweep.references import is_marker, is_of_sweep, is_sweep_id

MOST_ASKED: Final = 200
"""Runs of one look that are asked for by id; where there are more, the list is of no help."""


class Owner(Enum):
    """Whose a run is."""

    OURS = "it carries what an intent of this sweep put on it, or the ledger has its id"
    STRAY = "it is of this sweep, and the ledger has no intent that asked for it"
    FOREIGN = "it is of another sweep, or of another user"
    UNKNOWN = "it may be of this sweep, and doesn't show its tag"


class Identified(Struct, frozen=True):
    """A run, with all that the service shows of it by id, and whose it is."""

    run: Run
    owner: Owner


class RunIdentifier:
    """Remembers which runs turned out to be foreign."""

    def __init__(self, context: Context) -> None:
        self.batch_items = BatchItems(context.client, context.sweep)
        self._client = context.client
        self._ledger = context.ledger
        self._sweep = context.sweep
        self._others: set[str] = set()
        self._odd = False  # references are left out or spelled otherwise

    async def identify(self, runs: Iterable[Run]) -> list[Identified]:
        """Return whose *runs* are; runs that don't show it are asked for by id."""
        decided: list[Run] = []
        silent: list[Run] = []
        for run in self._without_odd_references(list(runs)):
            (silent if self._is_silent(run) else decided).append(run)
        ids = {run.id for run in silent}
        known = await self._ledger.scan(known_ids, ids) if ids else set()
        answered = known | self._others
        decided += [run for run in silent if run.id in answered]
        asked: list[Run] = []
        for run in await self.batch_items.with_tags(r for r in silent if r.id not in answered):
            (asked if self._is_silent(run) else decided).append(run)
        unknown: list[Run] = []
        for run in asked:
            whole = await self._by_id(run) if len(asked) <= MOST_ASKED else None
            (decided if await self._is_decided(run, whole) else unknown).append(whole or run)
        return [
            *[Identified(run, self._owner(run, known)) for run in decided],
            *[Identified(run, Owner.UNKNOWN) for run in unknown],
        ]

    def _without_odd_references(self, runs: list[Run]) -> list[Run]:
        """Return *runs*; without references where a list shows ours otherwise than we sent them.

        Then a run that shows no tag may be ours, whatever its reference is there.
        """
        tagged = [tag_of(run, self._sweep) is not None for run in runs]
        self._odd |= any(
            run.client_ref is None for run, ours in zip(runs, tagged, strict=True) if ours
        )
        if not self._odd:
            return runs
        return [
            run if ours else replace(run, client_ref=None)
            for run, ours in zip(runs, tagged, strict=True)
        ]

    async def with_intents(self, identified: Sequence[Identified]) -> list[Identified]:
        """Return the same, our runs without an intent as STRAY. This reads the ledger.

        A look-up of a doubt has no need of it: it knows its attempts.
        """
        tags = {each.run.id: tag_of(each.run, self._sweep) for each in identified}
        names = {*tags, *(tag.key for tag in tags.values() if tag is not None)}
        known = await self._ledger.scan(known_ids, names) if names else set()
        return [
            Identified(each.run, Owner.STRAY)
            if each.owner is Owner.OURS
            and each.run.id not in known
            and not await self._has_intent(each.run, tags[each.run.id], known)
            else each
            for each in identified
        ]

    async def unrecorded(
        self, wave: Wave, tagged: Sequence[tuple[RunTag, Run]]
    ) -> Sequence[tuple[RunTag, Run]]:
        """Return the runs of this wave that the ledger doesn't have.

        They are one too many: their intents have other runs, or were dropped. The ledger is read
        once for all for which it hasn't been yet; what is written from then on is known. Raises
        LostLedgerError for a run of this wave whose intent isn't in the ledger: another copy of it
        is at work.
        """
        new = {run.id for _, run in tagged} - wave.verified_run_ids
        if new:
            wave.verified_run_ids |= new
            known = await self._ledger.scan(known_ids, new | {tag.key for tag, _ in tagged})
            wave.known_run_ids |= known & new
            terse = any(run.client_ref is None for _, run in tagged)
            keys = await self._ledger.scan(keys_of, wave.ref) if terse else known
            for tag, run in tagged:
                if tag.key in keys or run.id in wave.known_run_ids:
                    continue
                if run.client_ref is not None:
                    if was_taken_in(run, self._ledger.book):
                        continue  # it is written as one too many
                    raise behind(self._ledger.path, run)
                wave.other_run_ids.add(run.id)  # another wave's, whose look shows it, too
        passed = wave.known_run_ids | wave.other_run_ids
        return [(tag, run) for tag, run in tagged if run.id not in passed]

    def _owner(self, run: Run, known: AbstractSet[str]) -> Owner:
        """Return whose a run is: its tag is shown, or its id is *known*."""
        tagged = tag_of(run, self._sweep) is not None and is_ours(run, self._sweep)
        return Owner.OURS if tagged or run.id in known else Owner.FOREIGN

    async def _has_intent(self, run: Run, tag: RunTag | None, known: AbstractSet[str]) -> bool:
        """Say whether the ledger has the intent of a run, whose key it may share with others.

        A copy that ends within a batch has the intents of some of its items, and their key.
        """
        if tag is None or tag.key not in known:
            return False
        line = self._ledger.book.history(tag.cell).intent_line
        newest = None if line == NOWHERE else self._ledger.read(line)
        if isinstance(newest, Intent) and newest.idempotency_key == tag.key:
            return True
        if run.client_ref is None:
            return line != NOWHERE
        intents = await self._ledger.scan(intents_of, run.client_ref)
        return any((each.cell, each.idempotency_key) == (tag.cell, tag.key) for each in intents)

    async def _by_id(self, run: Run) -> Run | None:
        """Return the run as the service shows it by id, or with the tag of its batch."""
        if run.batch_id is None:  # the run before may have named the batch of both
            (with_tags,) = await self.batch_items.with_tags([run])
            if with_tags is not run:
                return with_tags
        whole = await self._client.shown_run(run.id)
        if whole is not None and whole.batch_id != run.batch_id:
            (whole,) = await self.batch_items.with_tags([whole])
        return whole

    async def _is_decided(self, listed: Run, whole: Run | None) -> bool:
        """Say whether it is known now whose run this is, be it ours or not."""
        if whole is None:
            return False
        if not self._is_silent(whole):
            self._client.profile.tags_shown |= "batchrun" in whole.metadata
            return True
        references = {listed.client_ref, whole.client_ref} - {None}
        if not all(map(is_marker, references)):
            return False  # ours by its reference
        if "batchrun" in listed.metadata or "batchrun" in whole.metadata:
            return False  # the tag was altered on its way: it may have been ours
        if whole.metadata or await self._tags_are_shown():
            self._others.add(whole.id)
            return True
        return False

    async def _tags_are_shown(self) -> bool:
        """Say whether a run that is asked for by id shows its tag; ask for one that has it."""
        newest, profile = self._ledger.book.newest, self._client.profile
        if not profile.tags_shown and newest is not None:
            run = await self._client.shown_run(newest.run_id)
            profile.tags_shown = run is not None and tag_of(run, self._sweep) is not None
        return profile.tags_shown

    def _is_silent(self, run: Run) -> bool:
        """Say whether *run* may be of this sweep and doesn't show its tag."""
        ref = run.client_ref
        if ref is not None and not is_marker(ref) and not is_of_sweep(ref, self._sweep):
            return False
        if tag_of(run, self._sweep) is not None:
            return False
        wave_of_ours = ref is not None and not is_marker(ref)
        return wave_of_ours or not _is_of_other_sweep(run, self._sweep)


def _is_of_other_sweep(run: Run, sweep: str) -> bool:
    """Say whether *run* shows the id of another sweep, and not one that was altered."""
    tag = run.metadata.get("batchrun")
    other = tag.get("sweep") if isinstance(tag, Mapping) else None
    return isinstance(other, str) and other != sweep and is_sweep_id(other)


def was_taken_in(run: Run, book: Book) -> bool:
    """Say whether a run without an intent is no sign of another copy of the ledger at work.

    `recover` can't know of a request whose run came to light behind its last look (rule 10).
    """
    recovered, created = book.recovered_at, run.created_at
    return recovered is not None and created is not None and created < recovered


def behind(ledger: Path, run: Run) -> LostLedgerError:
    """Return the error for a run of this sweep of which the ledger has no intent."""
    return LostLedgerError(
        f"the ledger {ledger} is behind: it doesn't know run {run.id} of this sweep, which the "
        f"service has (`client_ref` {run.client_ref}); an older copy, or another one at work"
    )


def match_runs(
    wave: Wave, runs: Iterable[Run], sweep: str
) -> tuple[list[tuple[Attempt, Run]], list[tuple[RunTag, Run]]]:
    """Return the runs of attempts in doubt, and the runs that may be one too many.

    The tag's key alone makes a run an attempt's: a list may leave the `client_ref` out, or spell it
    in another way. A run of an
    attempt that is being sent is neither: its answer will say which run it has.
    """
    by_tag = {(a.idempotency_key, a.key): a for a in wave.attempts.values()}
    found: dict[str, tuple[Attempt, Run]] = {}
    others: list[tuple[RunTag, Run]] = []
    for run in runs:
        tag = tag_of(run, sweep)
        if tag is None:
            continue
        attempt = by_tag.get((tag.key, tag.cell))
        if attempt is not None and attempt.run_id is None and attempt.key not in found:
            if attempt.unresolved:
                found[attempt.key] = attempt, run
        elif run.client_ref in {None, wave.ref} and not wave.has_met(run.id):
            others.append((tag, run))
    return list(found.values()), others
