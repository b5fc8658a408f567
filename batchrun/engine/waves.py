"""Which attempts share one reference, so that one listing shows them all. Pure.

A batch is a wave of its own: its attempts share the one request, too. A wave is of one model,
because the moment of its next look is learnt from that model's durations. Its number is new in the
sweep: a process never continues the wave of another, so runs under a
number that is about to be used mean that the ledger is behind.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from batchrun.engine.in_flight import Attempt
from batchrun.engine.phases import Phase, WavePhase
from batchrun.runflow.wire import Run
from batchrun.sweep.references import reference

NEVER: Final = float("inf")
FIRST: Final = 100
SMALLEST: Final = 50  # each wave costs a look of its own before its first request
MOST_GATHERED: Final = 50
GATHERING: Final = 2.0
"""Ends that callbacks announce are gathered for one look: so many, or for so many seconds."""

LARGEST: Final = 500  # what the API's documents allow on a page


class Wave:
    """Attempts that share *ref*; only attempts under way are held.

    *batch* is how many items its one request has, 0 where each attempt has a request of its own;
    the service's name for it is *batch_id*. *seen* is True once a run of it is known: then that
    request was taken, and is never sent again. *opened* counts the runs that were open at the
    last look or came since, *expected* is how many they were when the next one was last thought of.
    *known_run_ids* are the ids of runs that the ledger has, and *known_since* says since when; of
    those in *finished_run_ids* nothing more is asked. *other_run_ids* are another wave's.
    *announced* has the keys of attempts whose end a callback has announced, and since when, until a
    look that came late enough has shown them or not.
    *verified_run_ids* are those for which the ledger has been read. *unlisted* is whether a run
    came that no list has been asked for since.
    """

    def __init__(self, ref: str, model: str, *, room: int = 0, batch: int = 0) -> None:
        self.ref = ref
        self.model = model
        self.room = room
        self.phase = WavePhase.IDLE
        self.batch = batch
        self.batch_id: str | None = None
        self.seen = False
        self.opened = self.expected = 0
        self.attempts: dict[str, Attempt] = {}
        self.announced: dict[str, float] = {}
        self.known_run_ids: set[str] = set()
        self.other_run_ids: set[str] = set()
        self.known_since: dict[str, float] = {}
        self.unlisted = False
        self.finished_run_ids: set[str] = set()
        self.verified_run_ids: set[str] = set()
        self.last_send_ended_at = 0.0
        self.last_look: float | None = None
        self.next_look = NEVER
        self.idle_looks = 0

    def __repr__(self) -> str:
        return f"<Wave {self.ref}: {len(self.open())} open, {len(self.doubts())} in doubt>"

    def join(self, attempt: Attempt) -> None:
        self.attempts[attempt.key] = attempt
        if attempt.run_id is not None:
            self.know(attempt.run_id, -NEVER)

    def know(self, run_id: str, since: float) -> None:
        """Note that a run of its own exists, and from when on that is known."""
        self.known_run_ids.add(run_id)
        self.known_since[run_id] = since
        self.seen = self.unlisted = True

    def has_met(self, run_id: str) -> bool:
        """Say whether a run is no news for this wave."""
        return run_id in self.known_run_ids or run_id in self.other_run_ids

    def shows_known(self, runs: Iterable[Run], before: float) -> bool:
        """Say whether a list shows all runs of the wave that were known *before*.

        A list that lacks one proves nothing, whatever it proved earlier.
        """
        must = {run_id for run_id, since in self.known_since.items() if since <= before}
        return must <= {run.id for run in runs}

    def leave(self, attempt: Attempt) -> None:
        self.attempts.pop(attempt.key, None)
        self.announced.pop(attempt.key, None)
        if attempt.run_id is not None:
            self.finished_run_ids.add(attempt.run_id)

    def shows_new(self, runs: Iterable[Run], before: float) -> bool:
        """Say the same of the runs that this process has made."""
        must = {run_id for run_id, since in self.known_since.items() if -NEVER < since <= before}
        return must <= {run.id for run in runs}

    def note(self, runs: Iterable[Run]) -> None:
        """Note from *runs* that the wave's batch was taken, and its id."""
        for run in runs:
            if self.batch and run.client_ref == self.ref:
                self.seen, self.batch_id = True, self.batch_id or run.batch_id

    def open(self) -> list[Attempt]:
        """Return the attempts whose runs are to be looked at."""
        return [a for a in self.attempts.values() if a.phase is Phase.RUNNING]

    def ended(self) -> list[Attempt]:
        """Return the attempts whose end a callback has announced, and no look has shown yet."""
        return [self.attempts[key] for key in self.announced]

    def forget_announced(self, asked: float) -> None:
        """Hasten no further look for ends that the one that began at *asked* had to show."""
        for key in [key for key, at in self.announced.items() if at <= asked - GATHERING]:
            del self.announced[key]

    def doubts(self) -> list[Attempt]:
        """Return the attempts of which it isn't known whether a run exists."""
        if not self.doubted:  # as nearly always; and asked for each wave at each look
            return []
        return [a for a in self.attempts.values() if a.phase is Phase.IN_DOUBT]

    @property
    def doubted(self) -> bool:
        """Whether a send has left a doubt that no poll has ended yet."""
        return self.phase in {WavePhase.DOUBTED, WavePhase.RESOLVING}

    @property
    def polled(self) -> bool:
        """Whether its runs are being asked for."""
        return self.phase in {WavePhase.POLLING, WavePhase.RESOLVING}

    @property
    def plan_is_stale(self) -> bool:
        """Whether more runs are open than its next poll was planned for.

        Each time their number has doubled: often enough, and cheap.
        """
        return self.next_look == NEVER or self.opened >= 2 * self.expected

    def due(self, *, settle: float, interval: float) -> float:
        """Return when the wave is looked at next: never sooner than *interval* after the last look.

        Ends that were announced are worth a look once enough of them, or seconds, are gathered.
        A doubt wants two looks, one at once to find the run and one when an empty answer counts;
        a wave that had a doubt wants a last one, when what was committed late can be seen.
        """
        last = -NEVER if self.last_look is None else self.last_look
        moments = [self.next_look, self._gathered()]
        moments += [
            a.last_send_ended_at if last < a.last_send_ended_at else a.last_send_ended_at + settle
            for a in self.doubts()
        ]
        if self.doubted:
            moments.append(self.last_send_ended_at + settle)
        return max(min(moments), last + interval)

    def _gathered(self) -> float:
        if len(self.announced) >= MOST_GATHERED:
            return -NEVER
        return next(iter(self.announced.values()), NEVER) + GATHERING


class Waves:
    """All waves that this process has to do with, and the one each model is filling.

    *marker* is the reference of the next wave of single runs, where the sweep has no run under its
    marker yet. With *opening* it is the wave of all models, until `close_marker`.
    """

    def __init__(
        self,
        sweep: str,
        *,
        last: int,
        size: Callable[[], int],
        marker: str | None = None,
        opening: bool = False,
    ) -> None:
        self._sweep = sweep
        self._marker = marker
        self._opening = opening and marker is not None
        self._number = last
        self._size = size
        self._waves: dict[str, Wave] = {}
        self._filling: dict[str, Wave] = {}
        self.began = False  # an attempt of this process has its place in one

    def __iter__(self) -> Iterator[Wave]:
        return iter(self._waves.values())

    def __getitem__(self, ref: str) -> Wave:
        return self._waves[ref]

    def find(self, ref: str | None) -> Wave | None:
        """Return the wave of that reference, None where this process has none."""
        return None if ref is None else self._waves.get(ref)

    def place(self, model: str) -> Wave:
        """Return the wave for one more attempt of *model*; a new one where the last is full."""
        self.began = True
        if self._opening:
            return self._first(model)
        wave = self._filling.get(model)
        if wave is None or not wave.room:
            wave = self._filling[model] = self._new(model, room=self._size())
        wave.room -= 1
        return wave

    def _first(self, model: str) -> Wave:
        assert self._marker is not None
        wave = self._waves.setdefault(self._marker, Wave(self._marker, model))
        wave.room = 1  # for more of its runs, until it is closed
        return wave

    def close_marker(self) -> None:
        """A run of the sweep is known: the next waves have references of their own."""
        if self._opening and self._marker in self._waves:
            self._waves[self._marker].room = 0
        if self._opening:
            self._opening, self._marker = False, None

    def place_batch(self, model: str, size: int) -> Wave:
        """Return a wave for *size* attempts that one request asks for."""
        self.began = True
        return self._new(model, batch=size)

    def _new(self, model: str, *, room: int = 0, batch: int = 0) -> Wave:
        if self._marker is not None and not batch:
            ref, self._marker = self._marker, None
        else:
            self._number += 1
            ref = reference(self._sweep, self._number)
        wave = self._waves[ref] = Wave(ref, model, room=room, batch=batch)
        return wave

    def adopt(self, ref: str, model: str, *, batch: int = 0) -> Wave:
        """Return the wave of an earlier process; it gets no further attempts."""
        return self._waves.setdefault(ref, Wave(ref, model, batch=batch))

    def forget(self) -> None:
        """Drop the waves that are over: memory must not grow with the sweep."""
        over = [
            wave.ref
            for wave in self
            if wave.phase is WavePhase.IDLE and not (wave.attempts or wave.room or wave.unlisted)
        ]
        for ref in over:
            del self._waves[ref]


def best_size(*, most_shown: int, page_cap: int | None) -> int:
    """Return how many attempts the next wave should have, so that one page shows it whole.

    *most_shown* is how many runs of ours a page has held, *page_cap* how many it held where another
    followed. A wave too small costs looks, one too large costs pages: sizes double until the
    service says where its pages end.
    """
    wanted = 2 * most_shown if page_cap is None else page_cap
    return min(LARGEST, max(FIRST if page_cap is None else SMALLEST, wanted))
