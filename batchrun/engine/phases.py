"""The phases of an attempt and of a wave in memory, and which may follow which. Pure.

Each is in exactly one phase. The tables are the whole truth: a change that is not in them raises.
Only `transitions.py` changes a phase; `tests/test_phases.py` walks every pair and reads the code.

                      begin
        NEW ────────────────────▶ PREPARING ──ready──▶ QUEUED
         │                            │                   │ send
         │ take over                  │ withdraw          ▼
         ├──────────▶ IN_DOUBT ◀──────┼─ no clear answer ─ SENDING
         │             │  │ └─────────┼─ send again ────────▲ │
         │  run found  │  │ give up   ▼                       │ refused, or
         │             ▼  ▼         ENDED ◀── line written ── SETTLING
         └────────▶ RUNNING ⇄ PARKED                          ▲
                       └────────┴──────── run ended ──────────┘

The rule behind it: **a phase says what is known of the run, never what would be convenient.** An
attempt whose answer is being read stays SENDING until it is decided what the answer means, so no
look-up can take its run for a lost one, or for one too many. Runs were once adopted by a look-up
while the answer to their second send was still being written.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Phase(Enum):
    """What one attempt is about at a moment."""

    NEW = "made, and not begun: it holds no slot"
    PREPARING = "its files are on their way to the service"
    QUEUED = "its input is known as it is sent; it waits for a request"
    SENDING = "it is part of a request, until it is decided what the answer means"
    IN_DOUBT = "a send has ended without a clear answer: only a look-up can tell if a run exists"
    RUNNING = "its run is known, and is looked at"
    PARKED = "it is left to a later call; it keeps its slot, since a run may be running"
    SETTLING = "what it came to is decided, and the line that says so is being written"
    ENDED = "nothing of it is left in this call"


AFTER: Final[Mapping[Phase, frozenset[Phase]]] = {
    # An attempt of an earlier call is taken over as the ledger has it.
    Phase.NEW: frozenset({Phase.PREPARING, Phase.IN_DOUBT, Phase.RUNNING}),
    Phase.PREPARING: frozenset({Phase.QUEUED, Phase.ENDED}),
    Phase.QUEUED: frozenset({Phase.SENDING, Phase.ENDED}),
    # Back to nothing as long as no intent is written; parked where it can't be rebuilt.
    Phase.SENDING: frozenset(
        {Phase.RUNNING, Phase.IN_DOUBT, Phase.PARKED, Phase.SETTLING, Phase.ENDED}
    ),
    Phase.IN_DOUBT: frozenset({Phase.SENDING, Phase.RUNNING, Phase.PARKED, Phase.SETTLING}),
    Phase.RUNNING: frozenset({Phase.PARKED, Phase.SETTLING}),
    # A later look may find the run, or that it ended.
    Phase.PARKED: frozenset({Phase.RUNNING, Phase.SETTLING}),
    Phase.SETTLING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}


class WavePhase(Enum):
    """What one wave is about at a moment."""

    IDLE = "each of its sends was answered, or looked up until nothing more could come to light"
    POLLING = "its runs are being asked for"
    DOUBTED = "a send has left a doubt, and a poll that counts is owed"
    RESOLVING = "a doubt is there, and its runs are being asked for"


WAVE_AFTER: Final[Mapping[WavePhase, frozenset[WavePhase]]] = {
    WavePhase.IDLE: frozenset({WavePhase.POLLING, WavePhase.DOUBTED}),
    WavePhase.POLLING: frozenset({WavePhase.IDLE, WavePhase.RESOLVING}),
    # A doubt ends by what a poll has shown, never by itself.
    WavePhase.DOUBTED: frozenset({WavePhase.RESOLVING}),
    WavePhase.RESOLVING: frozenset({WavePhase.DOUBTED, WavePhase.POLLING}),
}

AWAITED: Final = frozenset(Phase) - {Phase.NEW, Phase.PARKED, Phase.ENDED}
"""Phases whose end a call waits for."""


def check(now: Phase, then: Phase) -> None:
    """Raise AssertionError if *then* may not follow *now*: it is a fault of batchrun's own."""
    if then not in AFTER[now]:
        raise AssertionError(f"an attempt went from {now.name} to {then.name}")


def check_wave(now: WavePhase, then: WavePhase) -> None:
    """Raise AssertionError if *then* may not follow *now* in the life of a wave."""
    if then not in WAVE_AFTER[now]:
        raise AssertionError(f"a wave went from {now.name} to {then.name}")
