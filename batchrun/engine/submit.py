"""From cells to runs: the intents, the POST, and what its answer means.

**An intent is durable before its request leaves, and an answer speaks only for its own send.** At
the first send of an intent a refusal proves that no run exists. At a second one it doesn't: the
first may still be committed, so the refusal waits as the attempts' verdict for a look-up that
counts. Nothing is sent again here; that is decided in `decisions.py`.

A request asks for one run, or as a batch for several. *attempts* are here all attempts that share
a request.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import anyio

from batchrun.engine.batch_items import match_items
from batchrun.engine.cell_files import CellFiles
from batchrun.engine.context import Context
from batchrun.engine.decisions import MOST_SENDS
from batchrun.engine.funds import Funds
from batchrun.engine.in_flight import Attempt
from batchrun.engine.opening import Opening
from batchrun.engine.phases import REQUESTED, Phase
from batchrun.engine.preflight import Preflight
from batchrun.engine.request_body import Intents
from batchrun.engine.run_records import rejected_line
from batchrun.engine.run_tag import tag_of, tags_of
from batchrun.engine.service_habits import ServiceHabits
from batchrun.engine.service_health import ServiceHealth
from batchrun.engine.transitions import Transitions
from batchrun.engine.waves import Wave
from batchrun.errors import (
    KeyRefusedError,
    LostLedgerError,
    NotPermittedError,
    OutOfCreditError,
    ThrottledError,
    UnlistedError,
    UnreachableError,
)
from batchrun.ledger.records import Dropped, Rejected
from batchrun.manifest.cells import plain
from batchrun.runflow.assets import RefusedFileError
from batchrun.runflow.batches import Batch
from batchrun.runflow.post_outcomes import (
    Accepted,
    AcceptedBatch,
    BatchOutcome,
    BatchUnsupported,
    Conflicted,
    ForeignResponse,
    InDoubt,
    InputRefused,
    NotSent,
    Outcome,
)
from batchrun.runflow.wire import Run

HELD_BACK: Final = "held back before it was sent"
ALONE: Final = "sent alone from now on: the service doesn't take it in a batch"

TOO_LARGE: Final = 413
"""A request that is too large says nothing about batches."""


class Submitter:
    """Sends what the engine has decided to send, and files the answers.

    *unbatchable* are the cells that are not to be sent in a batch any more.
    """

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        preflight: Preflight,
        files: CellFiles,
        intents: Intents,
        habits: ServiceHabits,
        opening: Opening,
        funds: Funds,
    ) -> None:
        self._refusing = context.refusing
        self._opening = opening
        self._funds = funds
        self._habits = habits
        self.unbatchable: set[str] = set()
        self._settings = context.settings
        self._sweep = context.sweep
        self._ledger = context.ledger
        self._client = context.client
        self._transitions = transitions
        self._in_flight = transitions.in_flight
        self._waves = transitions.waves
        self._preflight = preflight
        self.files = files
        self._intents = intents
        self._shutdown = context.shutdown
        self._health = ServiceHealth()
        self._begun: dict[str, anyio.CancelScope] = {}
        self._on_their_way: dict[str, float] = {}  # since when, by the first of a request

    @property
    def halted(self) -> bool:
        """Whether the service answers POSTs unlike itself: nothing new is sent into that."""
        return self._health.unlike

    def hold_back(self) -> None:
        """Send nothing of what has been begun and has not left yet."""
        for name, scope in list(self._begun.items()):
            if name not in self._on_their_way:
                scope.cancel()

    def waits_since(self, attempt: Attempt) -> float | None:
        """Return since when the answer to a request that began with *attempt* is waited for.

        Infinity as long as it has not left, None once it is over.
        """
        if attempt.key not in self._begun:
            return None
        return self._on_their_way.get(attempt.key, float("inf"))

    @contextmanager
    def _may_be_held_back(self, attempts: Sequence[Attempt]) -> Iterator[None]:
        name = attempts[0].key
        try:
            with anyio.CancelScope() as scope:
                self._begun[name] = scope
                yield
        finally:
            self._begun.pop(name, None)
            self._on_their_way.pop(name, None)

    async def prepare(self, attempt: Attempt) -> bool:
        """Upload the input's files; False where that can't be, and the cell is done with."""
        with self._may_be_held_back([attempt]):
            try:
                await self._preflight.check_key()
                self._opening.checked()
                refused = await self.files.put(attempt)
            except anyio.get_cancelled_exc_class():
                self._transitions.withdraw(attempt)
                raise
            except (ThrottledError, UnlistedError) as error:
                self._transitions.withdraw(attempt)
                self._out_of_reach(error)
            else:
                if refused is not None:
                    await self._reject_unsent(attempt, refused)
        return attempt.phase is Phase.QUEUED

    async def _reject_unsent(self, attempt: Attempt, error: RefusedFileError) -> None:
        """Write that a file of the input was refused, with the intent that nothing is sent of."""
        assert attempt.cell is not None
        self._transitions.ready(attempt, plain(attempt.cell.input))
        self._place([attempt])
        (intent,), _ = self._intents.first([attempt], [attempt.sent or {}])
        with anyio.CancelScope(shield=True):
            await self._transitions.reject([attempt], error, intent)

    async def submit(self, attempts: Sequence[Attempt]) -> None:
        """Write the intents, then send them for the first time: one as a run, more as a batch."""
        with self._may_be_held_back(attempts):
            wave = self._place(attempts)
            try:
                await self._preflight.open(wave)
                self._opening.checked()
                intents, body = self._intents.first(
                    attempts, [each.sent or {} for each in attempts]
                )
                covered = await self._funds.cover(attempts, intents[0])
            except anyio.get_cancelled_exc_class():
                for attempt in attempts:
                    self._transitions.withdraw(attempt)
                raise
            if not covered:
                self._transitions.put_off(attempts)
                return
            if self._refusing.stops(wave.model):  # since they were drawn
                for attempt in attempts:
                    self._transitions.withdraw(attempt)
                return
            # If this were cancelled, it would not be known whether the lines are in the file.
            with anyio.CancelScope(shield=True):
                await self._ledger.append(*intents)
            self._transitions.send(attempts)
            for attempt in attempts:
                attempt.sent = None  # a thousand inputs in flight may be large
            await self._send(attempts, body)

    def _place(self, attempts: Sequence[Attempt]) -> Wave:
        model, size = attempts[0].model, len(attempts)
        wave = self._waves.place(model) if size == 1 else self._waves.place_batch(model, size)
        key = str(uuid.uuid4())
        for index, attempt in enumerate(attempts):
            attempt.client_ref, attempt.idempotency_key = wave.ref, key
            attempt.index = index if wave.batch else None
            wave.join(attempt)
        self._transitions.place(attempts)
        return wave

    async def resend(self, attempts: Sequence[Attempt]) -> None:
        """Send the same intents again, byte for byte, as `decisions.py` has decided."""
        body = self._intents.again(attempts)
        if body is None:
            await self._transitions.park(attempts, "the request cannot be rebuilt byte for byte")
        else:
            with self._may_be_held_back(attempts):
                try:
                    covered = await self._funds.day.cover(attempts)
                except anyio.get_cancelled_exc_class():
                    self._transitions.back_to_doubt(attempts)
                    raise
                if covered:
                    await self._send(attempts, body)
                else:
                    self._transitions.doubt(attempts)  # the budget is asked again after a look

    async def _send(self, attempts: Sequence[Attempt], body: bytes) -> None:
        """Send, and file the outcome; a reason to stop the whole call is noted, not raised."""
        first = attempts[0]
        for attempt in attempts:
            attempt.sends += 1
        try:
            outcome = await self._posted(attempts, body)
        except (KeyRefusedError, OutOfCreditError) as error:
            self._done(attempts)
            await self._not_admitted(attempts, error)
        except UnreachableError as error:
            self._done(attempts)
            self._out_of_reach(error)
            # What has not left is held back from now on: this line is being written meanwhile.
            with anyio.CancelScope(shield=True):
                await self._refused(attempts, _dropped(first, "the service was not reached"))
        except anyio.get_cancelled_exc_class():
            self._done(attempts)
            await self._cut_off(attempts)
            raise
        else:
            self._done(attempts)
            await self._file(attempts, outcome)
            if self._opening.under_way:  # others wait for just that
                self._transitions.wakeup.ring()

    def _out_of_reach(self, error: UnreachableError) -> None:
        """Stop; where the service takes nothing new for now, once the runs in flight have ended."""
        if isinstance(error, UnlistedError) or (
            isinstance(error, ThrottledError) and error.creates
        ):
            self._shutdown.submit_no_more(error)
        else:
            self._shutdown.leave(error)

    async def _not_admitted(
        self, attempts: Sequence[Attempt], error: KeyRefusedError | OutOfCreditError
    ) -> None:
        self._health.well()
        first = attempts[0]
        if not isinstance(error, OutOfCreditError | NotPermittedError):
            self._shutdown.submit_no_more(error)
        elif first.index is not None and first.sends == 1:
            # The whole of a batch costs more than there is, or batches aren't permitted.
            await self.send_alone(attempts, str(error))
            return
        else:
            if (stop := self._funds.admission.refused(first.model, error)) is not None:
                self._shutdown.submit_no_more(stop)
            if first.sends == 1:
                self._funds.admission.leave(first.model, first.alias)
        await self._refused(attempts, _dropped(first, str(error)))

    async def _cut_off(self, attempts: Sequence[Attempt]) -> None:
        """Drop what had not left when it was cancelled; what had is in doubt."""
        first = attempts[0]
        if first.key not in self._on_their_way and first.sends == 1:
            with anyio.CancelScope(shield=True):
                await self._transitions.drop(attempts, HELD_BACK)
        else:
            self._transitions.back_to_doubt(attempts)
        self._transitions.wakeup.ring()

    async def _posted(self, attempts: Sequence[Attempt], body: bytes) -> Outcome | BatchOutcome:
        first = attempts[0]
        what: dict[str, Any] = {
            "idempotency_key": first.idempotency_key,
            "may_leave": partial(self._may_leave, first),
            "on_departure": partial(self._departed, attempts),
            "on_nothing": partial(self._came_back, attempts),
        }
        if first.index is None:
            is_for_it = partial(self._is_for, first)
            return await self._client.create_run(first.model, body, is_for_it=is_for_it, **what)
        is_ours = partial(self._is_batch_for, first)
        return await self._client.create_batch(first.model, body, is_for_it=is_ours, **what)

    def _is_for(self, attempt: Attempt, run: Run) -> bool:
        """Say whether the run of an answer was made for *attempt*, as far as it shows.

        Answers can get out of step, on a connection or in a gateway.
        """
        if isinstance(run.metadata.get("batchrun"), Mapping):
            tag = tag_of(run, self._sweep)
            ours = attempt.idempotency_key, attempt.key
            return tag is not None and (tag.key, tag.cell) == ours
        return not any(run.id in wave.known_run_ids for wave in self._waves)

    def _is_batch_for(self, attempt: Attempt, batch: Batch) -> bool:
        tags = tags_of(batch.metadata, self._sweep)
        if tags:
            return tags[0].key == attempt.idempotency_key
        return not any(wave.batch_id == batch.id for wave in self._waves)

    def _may_leave(self, first: Attempt) -> bool:
        """Say whether a POST may leave now: its intent must be where the next call looks for it.

        The first send of a model that refuses all cells alike doesn't.
        """
        if first.sends == 1 and self._refusing.stops(first.model):
            return False
        if not self._shutdown.holding:
            try:
                self._ledger.check_place()
            except LostLedgerError as error:
                self._shutdown.leave(error)
        return not self._shutdown.holding

    def _departed(self, attempts: Sequence[Attempt]) -> None:
        first = attempts[0]
        now = self._on_their_way[first.key] = anyio.current_time()
        if first.sends == 1:  # an earlier send may have made the run
            for attempt in attempts:
                attempt.sight.asked = now
        if first.index is not None:
            # The cells that wait for the answer to a batch know from when on.
            self._transitions.wakeup.ring()

    def _came_back(self, attempts: Sequence[Attempt]) -> None:
        del self._on_their_way[attempts[0].key]

    def _done(self, attempts: Sequence[Attempt]) -> None:
        now = anyio.current_time()
        for attempt in attempts:
            attempt.last_send_ended_at = now
        if attempts[0].doubted:
            # A run that an earlier send committed late may show until `settle` after this one.
            self._transitions.doubt_wave(self._waves[attempts[0].client_ref], now)

    async def _file(self, attempts: Sequence[Attempt], outcome: Outcome | BatchOutcome) -> None:
        first = attempts[0]
        self._health.note(outcome, anyio.current_time())
        match outcome:
            case Accepted(run=run):
                self._client.profile.note_created(run.created_at, self._client.server_time)
                self._transitions.warn_unknown_status(run)
                await self._transitions.accept([(first, run)], adopted=False)
            case AcceptedBatch(batch=batch):
                await self._took(attempts, batch)
            case InputRefused() | BatchUnsupported():
                await self._file_refusal(attempts, outcome)
            case Conflicted():
                for attempt in attempts:
                    attempt.conflicted = True
                self._transitions.doubt(attempts)
            case InDoubt() | ForeignResponse():
                self._transitions.doubt(attempts)
            case NotSent():
                await self._cut_off(attempts)  # an earlier send is in doubt as it was

    async def _file_refusal(
        self, attempts: Sequence[Attempt], outcome: InputRefused | BatchUnsupported
    ) -> None:
        first = attempts[0]
        if isinstance(outcome, BatchUnsupported):
            if first.sends > 1:
                await self._refused(attempts, _dropped(first, ALONE))
            else:
                self._client.log(f"`{first.model}` took no batch (HTTP {outcome.http_status})")
                if outcome.http_status != TOO_LARGE:
                    await self.learn(first.model, batches=False)
                await self.send_alone(attempts, f"HTTP {outcome.http_status} {outcome.message}")
        elif first.sends == 1 and self._gives_otherwise(first, outcome):
            reason = f"the reference to a file was refused: {outcome.message}"
            await self._transitions.begin_anew(attempts, reason)
        else:
            await self._refused(attempts, rejected_line(first, outcome))

    async def _took(self, attempts: Sequence[Attempt], batch: Batch) -> None:
        """The batch exists. Its wave will show the items that its answer doesn't show."""
        wave = self._waves[attempts[0].client_ref]
        wave.batch_id, wave.seen = batch.id, True
        answer = match_items(batch, attempts, wave.batch)
        if answer.unidentified:
            self._transitions.doubt(answer.unidentified)
        # A refused attempt stays in this request until it is rejected: no look finds a run for it.
        await self._transitions.accept(answer.runs, adopted=False)
        for attempt, refusal in answer.refused:
            await self._transitions.reject([attempt], refusal)
        for why, failed in answer.failed.items():
            await self.send_alone(failed, why, answered=True)
        await self.learn(wave.model, batches=True)

    async def send_alone(
        self, attempts: Sequence[Attempt], why: str, *, answered: bool = False
    ) -> None:
        """Give up what has certainly no run, and have the cells drawn again, each for itself.

        That is a batch, or where it was *answered* some items of one.
        """
        self.unbatchable.update(attempt.key for attempt in attempts)
        await self._transitions.begin_anew(attempts, f"{ALONE} ({why})", answered=answered)

    def _gives_otherwise(self, attempt: Attempt, outcome: InputRefused) -> bool:
        sent: Mapping[str, Any] = self._intents.last_input(attempt) or {}
        return self.files.uploads.gives_otherwise(attempt.key, attempt.model, sent, outcome)

    async def _refused(self, attempts: Sequence[Attempt], verdict: Rejected | Dropped) -> None:
        if attempts[0].sends > 1:
            for attempt in attempts:
                attempt.verdict = verdict
            self._transitions.doubt(attempts)
        else:
            await self.conclude(attempts, verdict)

    async def conclude(self, attempts: Sequence[Attempt], verdict: Rejected | Dropped) -> None:
        """File a refusal that speaks for every send of the intents."""
        if isinstance(verdict, Rejected):
            await self._transitions.reject(attempts, verdict)
        elif verdict.reason == ALONE:
            await self.send_alone(attempts, "at a second send")
        else:
            await self._transitions.drop(attempts, verdict.reason)

    async def learn(self, model: str, *, batches: bool) -> None:
        """Remember whether *model* takes batches.

        A model that took a batch once takes batches: a later refusal speaks of an input.
        """
        if await self._habits.learn_batches(model, takes=batches):
            self._transitions.wakeup.ring()  # other cells wait for just that

    def judge(self) -> None:
        """Leave once something else has answered every POST for `give_up` seconds."""
        if self._health.unlike_for(anyio.current_time()) > self._settings.give_up:
            self._leave_unlike()
        elif self.halted and not any(a.unresolved or a.phase in REQUESTED for a in self._in_flight):
            self._health.forget()  # else nothing would ever be sent that could be answered well
            self._transitions.wakeup.ring()

    def judge_at_end(self) -> None:
        """Nothing more can be done: say so if it is the service that left the rest in doubt."""
        doubts = [attempt for attempt in self._in_flight if attempt.unresolved]
        if doubts and self.halted:
            self._leave_unlike()
        elif not self._health.good and any(a.sends >= MOST_SENDS for a in doubts):
            self._shutdown.leave(
                UnreachableError(
                    "the service gave no clear answer to any request for a run, the last being: "
                    f"{self._health.bad}; look at the service, then call again"
                )
            )

    def _leave_unlike(self) -> None:
        self._shutdown.leave(
            UnreachableError(
                f"what answers at the endpoint is not the Runflow API: {self._health.bad}; "
                "look at the endpoint, or at a proxy on the way"
            )
        )


def _dropped(attempt: Attempt, reason: str) -> Dropped:
    return Dropped(cell=attempt.key, attempt=attempt.number, reason=reason)
