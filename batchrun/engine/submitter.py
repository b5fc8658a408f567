"""From a cell to a run: the intent, the POST, and what its answer means.

An answer speaks only for its own send. At the first send of an intent a refusal proves that no run
exists; at a resend it doesn't, and waits as the attempt's verdict for a look-up that counts.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import anyio

from batchrun.engine.answers import Answers
from batchrun.engine.gate import Gate
from batchrun.engine.live import Attempt
from batchrun.engine.tags import Tag, tagged
from batchrun.engine.uploads import Uploads
from batchrun.engine.work import Work
from batchrun.errors import KeyRefusedError, OutOfCreditError, UnreachableError
from batchrun.ledger.records import Dropped, Intent, Rejected, timestamp
from batchrun.manifest.grid import Cell
from batchrun.results.rows import plain
from batchrun.runflow.assets import ChangedFileError, FailedUploadError, RefusedFileError
from batchrun.runflow.client import Accepted, Conflicted, InDoubt, Outcome, Unlike, Withheld
from batchrun.runflow.client import Rejected as Refusal
from batchrun.runflow.wire import run_body

MOST_SENDS: Final = 5
"""Sends of one intent in one call; the API's documents advise no more than five tries."""

HELD_BACK: Final = "held back before it was sent"

NameOf = Callable[[Cell], str]
"""Where a cell's files go, without extension."""

MetadataOf = Callable[[Cell], Mapping[str, Any]]
"""The user's metadata for a cell."""


class Submitter:
    """Sends what the engine has decided to send, and files the answers."""

    def __init__(
        self,
        work: Work,
        gate: Gate,
        *,
        uploads: Uploads,
        name_of: NameOf,
        metadata_of: MetadataOf,
    ) -> None:
        self._work = work
        self._name_of = name_of
        self._metadata_of = metadata_of
        self._uploads = uploads
        self._gate = gate
        self._answers = Answers()
        self._said: set[str] = set()
        self._begun: dict[str, anyio.CancelScope] = {}
        self._on_their_way: set[str] = set()

    @property
    def halted(self) -> bool:
        """Whether the service answers POSTs unlike itself: nothing new is sent into that."""
        return self._answers.unlike

    def begin(self, cell: Cell, number: int, *, granted: int, reserved: Decimal | None) -> Attempt:
        """Give the cell a slot and a place in a wave; nothing is written or sent yet."""
        wave = self._work.waves.place(cell.model)
        attempt = Attempt(
            key=cell.key,
            number=number,
            alias=cell.alias,
            model=cell.model,
            client_ref=wave.ref,
            idempotency_key=str(uuid.uuid4()),
            name=self._name_of(cell),
            cell=cell,
            drawn=True,
            granted=granted,
            reserved=reserved,
            sending=True,
        )
        self._work.live.begin(attempt)
        wave.join(attempt)
        return attempt

    def hold_back(self) -> None:
        """Send nothing of what has been begun and has not left yet."""
        for key, scope in list(self._begun.items()):
            if key not in self._on_their_way:
                scope.cancel()

    @contextmanager
    def _may_be_held_back(self, attempt: Attempt) -> Iterator[None]:
        try:
            with anyio.CancelScope() as scope:
                self._begun[attempt.key] = scope
                yield
        finally:
            self._begun.pop(attempt.key, None)
            self._on_their_way.discard(attempt.key)

    async def submit(self, attempt: Attempt) -> None:
        """Upload the input's files, write the intent, then send it for the first time."""
        with self._may_be_held_back(attempt):
            try:
                await self._gate.open(attempt.client_ref)
                sent = await self._sent(attempt)
            except anyio.get_cancelled_exc_class():
                self._work.withdraw(attempt)
                raise
            if sent is not None:
                intent, body = self._intent(attempt, sent)
                # Cancelled here, nobody would know whether the line is in the file.
                with anyio.CancelScope(shield=True):
                    await self._work.ledger.append(intent)
                await self._send(attempt, body)

    async def _sent(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """Return the input as it is sent; None where that can't be, and the cell is done with."""
        assert attempt.cell is not None
        try:
            return await self._uploads.resolve(attempt.cell)
        except ChangedFileError as error:
            self._leave_out(attempt, f"{error}; the next call takes it as it is then")
        except FailedUploadError as error:
            self._leave_out(attempt, f"{error}; the next call tries again")
        except RefusedFileError as error:
            intent, _ = self._intent(attempt, plain(attempt.cell.input))
            with anyio.CancelScope(shield=True):
                await self._work.reject(attempt, _rejected(attempt, error), intent)
        return None

    def _intent(self, attempt: Attempt, sent: Mapping[str, Any]) -> tuple[Intent, bytes]:
        """Return the intent's line and the request's body."""
        assert attempt.cell is not None
        tag = Tag(attempt.key, attempt.number, attempt.idempotency_key)
        metadata = {**self._metadata_of(attempt.cell), "batchrun": tagged(self._work.identity, tag)}
        body = run_body(sent, client_ref=attempt.client_ref, metadata=metadata)
        intent = Intent(
            cell=attempt.key,
            attempt=attempt.number,
            model=attempt.model,
            alias=attempt.alias,
            client_ref=attempt.client_ref,
            idempotency_key=attempt.idempotency_key,
            body_sha256=hashlib.sha256(body).hexdigest(),
            name=attempt.name,
            metadata=metadata,
            reserved=attempt.reserved,
            server_at=None if (at := self._work.client.server_time) is None else timestamp(at),
            input=None if self._work.last_input(attempt) == sent else sent,
        )
        return intent, body

    def _leave_out(self, attempt: Attempt, why: str) -> None:
        """Leave a cell to the next call: its file can't be sent, or is not what it was."""
        self._work.withdraw(attempt)
        if why not in self._said:
            self._said.add(why)
            self._work.progress.note(why)

    async def resend(self, attempt: Attempt) -> None:
        """Send the same intent again, byte for byte. It is certain that the last send failed."""
        work = self._work
        intent = work.intent(attempt)
        sent = work.last_input(attempt) or {}
        body = run_body(sent, client_ref=intent.client_ref, metadata=intent.metadata)
        if hashlib.sha256(body).hexdigest() != intent.body_sha256:
            await work.park(attempt, "the request cannot be rebuilt byte for byte")
        else:
            with self._may_be_held_back(attempt):
                await self._send(attempt, body)

    async def _send(self, attempt: Attempt, body: bytes) -> None:
        """Send, and file what comes of it; stops that concern everybody are noted, not raised."""
        work = self._work
        attempt.sending = True
        attempt.sends += 1
        key = attempt.key
        try:
            outcome = await work.client.create_run(
                attempt.model,
                body,
                idempotency_key=attempt.idempotency_key,
                may_leave=lambda: not work.stops.holding,
                on_departure=lambda: self._on_their_way.add(key),
                on_nothing=lambda: self._on_their_way.discard(key),
            )
        except (KeyRefusedError, OutOfCreditError) as error:
            self._done(attempt)
            self._answers.well()
            work.stops.submit_no_more(error)
            await self._refused(attempt, self._dropped(attempt, str(error)))
        except UnreachableError as error:
            self._done(attempt)
            work.stops.leave(error)
            await self._refused(attempt, self._dropped(attempt, "the service was not reached"))
        except anyio.get_cancelled_exc_class():
            self._done(attempt)
            if key not in self._on_their_way and attempt.sends == 1:
                with anyio.CancelScope(shield=True):
                    await work.drop(attempt, HELD_BACK)
            work.bell.ring()
            raise
        else:
            self._done(attempt)
            await self._file(attempt, outcome)

    def _done(self, attempt: Attempt) -> None:
        attempt.sending = False
        attempt.quiet_since = anyio.current_time()
        if attempt.doubted:
            # What an earlier send committed late may show until `settle` after this one.
            self._work.waves[attempt.client_ref].doubt(attempt.quiet_since)

    async def _file(self, attempt: Attempt, outcome: Outcome) -> None:
        work = self._work
        self._answers.note(outcome, anyio.current_time())
        match outcome:
            case Accepted(run=run):
                work.hear(run)
                await work.accept(attempt, run, adopted=False)
            case Refusal() if attempt.sends == 1 and self._gives_otherwise(attempt, outcome):
                await work.drop(attempt, f"the reference to a file was refused: {outcome.message}")
                work.try_again(attempt)
            case Refusal():
                await self._refused(attempt, _rejected(attempt, outcome))
            case Conflicted():
                attempt.conflicted = True
                work.doubt(attempt)
            case InDoubt() | Unlike():
                work.doubt(attempt)
            case Withheld() if attempt.sends == 1:
                await work.drop(attempt, HELD_BACK)
            case Withheld():
                work.bell.ring()  # an earlier send is in doubt as it was

    def _gives_otherwise(self, attempt: Attempt, outcome: Refusal) -> bool:
        sent = self._work.last_input(attempt) or {}
        return self._uploads.gives_otherwise(attempt.key, attempt.model, sent, outcome)

    async def _refused(self, attempt: Attempt, record: Rejected | Dropped) -> None:
        if attempt.sends > 1:
            attempt.verdict = record
            self._work.doubt(attempt)
        else:
            await self.conclude(attempt, record)

    async def conclude(self, attempt: Attempt, record: Rejected | Dropped) -> None:
        """File a refusal that speaks for every send of the intent."""
        if isinstance(record, Rejected):
            await self._work.reject(attempt, record)
        else:
            await self._work.drop(attempt, record.reason)

    def _dropped(self, attempt: Attempt, reason: str) -> Dropped:
        return Dropped(cell=attempt.key, attempt=attempt.number, reason=reason)

    def judge(self) -> None:
        """Leave once something else has answered every POST for `give_up` seconds."""
        if self._answers.unlike_for(anyio.current_time()) > self._work.settings.give_up:
            self._leave_unlike()
        elif self.halted and not any(a.in_doubt or a.sending for a in self._work.live):
            self._answers.forget()  # else nothing would ever be sent that could be answered well
            self._work.bell.ring()

    def judge_at_end(self) -> None:
        """Nothing more can be done: say so if it is the service that left the rest in doubt."""
        doubts = [attempt for attempt in self._work.live if attempt.in_doubt]
        if doubts and self.halted:
            self._leave_unlike()
        elif not self._answers.good and any(a.sends >= MOST_SENDS for a in doubts):
            self._work.stops.leave(
                UnreachableError(
                    "the service gave no clear answer to any request for a run, the last being: "
                    f"{self._answers.bad}; look at the service, then call again"
                )
            )

    def _leave_unlike(self) -> None:
        self._work.stops.leave(
            UnreachableError(
                f"what answers at the endpoint is not the Runflow API: {self._answers.bad}; "
                "look at the endpoint, or at a proxy on the way"
            )
        )


def _rejected(attempt: Attempt, refusal: Refusal | RefusedFileError) -> Rejected:
    return Rejected(
        cell=attempt.key,
        attempt=attempt.number,
        http_status=refusal.http_status,
        code=refusal.code,
        message=refusal.message,
        doubted=attempt.doubted,
    )
