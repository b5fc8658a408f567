"""The phases of an attempt and of a wave in memory, and which may follow which. Pure.

Each is in exactly one phase. The tables are the whole truth: a change that is not in them raises.
Only `transitions.py` changes a phase; `tests/test_phases.py` walks every pair and reads the code.

The way of an attempt that meets no trouble:

    NEW ▶ PREPARING ▶ QUEUED ▶ PLACED ▶ SENDING ▶ RUNNING ▶ SETTLING ▶ ENDED

and what else may happen:

    NEW ▶ RUNNING, IN_DOUBT             an earlier call's, taken over as the ledger has it
    PREPARING, QUEUED, PLACED ▶ ENDED   withdrawn: nothing was written or sent
    PLACED ▶ SETTLING                   a file of its input was refused: there is no run to ask for
    SENDING ▶ SETTLING                  refused at the first send, or never left
    SENDING ▶ IN_DOUBT                  no clear answer, or an answer that speaks not for all sends
    SENDING ▶ PARKED_IN_DOUBT           a second send, whose bytes can't be made again
    IN_DOUBT ▶ SENDING                  the same bytes again
    IN_DOUBT ▶ RUNNING                  its run was found
    IN_DOUBT ▶ SETTLING                 it is certain that there is none
    IN_DOUBT ▶ PARKED_IN_DOUBT          it stays in doubt, at least for this call
    PARKED_IN_DOUBT ▶ RUNNING           its run was found after all
    RUNNING ▶ PARKED                    too old, or the service doesn't show it
    PARKED ▶ SETTLING                   it ended after all

The rule behind it: **a phase says what is known of the run, never what would be convenient.** An
attempt whose answer is being read stays SENDING until it is decided what the answer means, so no
look-up can take its run for a lost one, or for one too many. Runs were once adopted by a look-up
while the answer to their second send was still being written.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Phase(Enum):
    """All that is known of one attempt."""

    NEW = "made, and not begun: it holds no slot"
    PREPARING = "its files are on their way to the service"
    QUEUED = "its input is known as it is sent; it waits for a request"
    PLACED = "it has its place in a request; its intent is not on disk yet, so there is no run"
    SENDING = "its intent is on disk; until it is decided what the answer means, a run may exist"
    IN_DOUBT = "its last send has ended, and only a look-up can show if a run exists"
    RUNNING = "its run is known, and is looked at"
    PARKED = "its run is known and left to a later call; it keeps its slot"
    PARKED_IN_DOUBT = "whether a run exists is left to a later call; it keeps its slot"
    SETTLING = "what it came to is decided, and the line that says so is being written"
    ENDED = "nothing of it is left in this call"


AFTER: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.NEW: frozenset({Phase.PREPARING, Phase.IN_DOUBT, Phase.RUNNING}),
    Phase.PREPARING: frozenset({Phase.QUEUED, Phase.ENDED}),
    Phase.QUEUED: frozenset({Phase.PLACED, Phase.ENDED}),
    Phase.PLACED: frozenset({Phase.SENDING, Phase.SETTLING, Phase.ENDED}),
    Phase.SENDING: frozenset(
        {Phase.RUNNING, Phase.IN_DOUBT, Phase.PARKED_IN_DOUBT, Phase.SETTLING}
    ),
    Phase.IN_DOUBT: frozenset(
        {Phase.SENDING, Phase.RUNNING, Phase.PARKED_IN_DOUBT, Phase.SETTLING}
    ),
    Phase.RUNNING: frozenset({Phase.PARKED, Phase.SETTLING}),
    Phase.PARKED: frozenset({Phase.SETTLING}),
    Phase.PARKED_IN_DOUBT: frozenset({Phase.RUNNING}),
    Phase.SETTLING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}

UNRESOLVED: Final = frozenset({Phase.IN_DOUBT, Phase.PARKED_IN_DOUBT})
"""No send of it is under way, and whether it has a run isn't known."""

LEFT: Final = frozenset({Phase.PARKED, Phase.PARKED_IN_DOUBT})
"""It is left to a later call."""

REQUESTED: Final = frozenset({Phase.PLACED, Phase.SENDING})
"""It is part of a request of which the answer is to come, or being filed."""

AWAITED: Final = frozenset(Phase) - LEFT - {Phase.NEW, Phase.ENDED}
"""A call waits for its end."""


class WavePhase(Enum):
    """All that is known of one wave."""

    IDLE = "no send of it has left a doubt that is still open, and it is not being polled"
    POLLING = "its runs are being asked for"
    DOUBTED = "a send has left a doubt, and a poll that counts is owed"
    RESOLVING = "a doubt is open, and its runs are being asked for"


WAVE_AFTER: Final[Mapping[WavePhase, frozenset[WavePhase]]] = {
    WavePhase.IDLE: frozenset({WavePhase.POLLING, WavePhase.DOUBTED}),
    WavePhase.POLLING: frozenset({WavePhase.IDLE, WavePhase.RESOLVING}),
    # A doubt ends by what a poll has shown, never by itself.
    WavePhase.DOUBTED: frozenset({WavePhase.RESOLVING}),
    WavePhase.RESOLVING: frozenset({WavePhase.DOUBTED, WavePhase.POLLING}),
}


def check(now: Phase, then: Phase) -> None:
    """Raise AssertionError if *then* may not follow *now*: it is a fault of batchrun's own."""
    if then not in AFTER[now]:
        raise AssertionError(f"an attempt went from {now.name} to {then.name}")


def check_wave(now: WavePhase, then: WavePhase) -> None:
    """Raise AssertionError if *then* may not follow *now* in the life of a wave."""
    if then not in WAVE_AFTER[now]:
        raise AssertionError(f"a wave went from {now.name} to {then.name}")
