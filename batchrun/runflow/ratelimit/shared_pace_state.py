"""The state of a pace that processes share: when the last call left, and how they pace.

Pure: `shared_pace.py` keeps it in a file. All moments are of one clock, which all processes of the
machine read alike and which begins anew when the machine does.

* The next call of any process leaves no sooner after the last than the slowest of them allows.
  So over all of them together any window w holds at most floor(lowest rate * w) + 1 departures.
* No call leaves in the pause after a 429, and none of a kind while the service has asked for a wait
  of that kind. But after LONGEST_PAUSE each process asks for itself: a process without any answer
  could not know when to give up.

The waits of kinds are in a second form of the file, which is written as long as there is one:
processes of an earlier batchrun read the first form alone.
"""

import math
import struct
from typing import Final

from msgspec import Struct, field

from batchrun.runflow.ratelimit.kinds import Kind

_MAGIC: Final = b"batchrun pace 1\n"
_MAGIC_OF_KINDS: Final = b"batchrun pace 2\n"
_MOMENTS: Final = {_MAGIC: 2, _MAGIC_OF_KINDS: 2 + len(Kind)}
_NEVER: Final = float("-inf")
_MARGIN: Final = 1e-6  # as in `pace.py`
LONGEST_PAUSE: Final = 60.0  # seconds
SLOTS: Final = 256


class SharedPaceState(Struct):
    """*intervals* are seconds between calls, one for each process by its slot, 0 for no process.

    *hold* is until when no call leaves, *holds* until when none of a kind does.
    """

    last: float = _NEVER
    hold: float = _NEVER
    intervals: list[float] = field(default_factory=list)
    holds: dict[Kind, float] = field(default_factory=dict)

    def wait(self, now: float) -> float:
        """Return the seconds until a call of any process may leave."""
        between = max(self.intervals, default=0.0)
        return max(0.0, self.last + between + _MARGIN - now, self.hold - now)

    def held(self, now: float, kind: Kind) -> float:
        """Return the seconds for which calls of this kind alone are held back."""
        return max(0.0, self.holds.get(kind, _NEVER) - now)

    def enter(self, slot: int, interval: float) -> None:
        """Note how the process at *slot* paces; 0 is that it is gone."""
        self.intervals += [0.0] * (slot + 1 - len(self.intervals))
        self.intervals[slot] = interval

    def let_wait(self, kind: Kind | None, until: float) -> None:
        """Let no call leave, or none of one *kind*."""
        if kind is None:
            self.hold = max(self.hold, until)
        else:
            self.holds[kind] = max(self.holds.get(kind, _NEVER), until)


def decode(text: bytes, now: float) -> SharedPaceState:
    """Return what *text* says; where it isn't ours, or can't be true, a state begun anew."""
    magic, tail = text[: len(_MAGIC)], len(text) - len(_MAGIC)
    moments = _MOMENTS.get(magic, 0)
    if not moments or tail < moments * 8 or tail % 8:
        return SharedPaceState()
    numbers = struct.unpack_from(f"<{tail // 8}d", text, len(magic))
    last, hold, *of_kinds = numbers[:moments]
    intervals = list(numbers[moments:])
    if any(map(math.isnan, numbers[:moments])) or len(intervals) > SLOTS:
        return SharedPaceState()
    if not all(0.0 <= each < math.inf for each in intervals):  # NaN neither
        return SharedPaceState()
    holds = zip(Kind, of_kinds, strict=False)
    # No call has left in the future: the machine was started since, and so was its clock.
    return SharedPaceState(
        last=min(last, now),
        hold=hold if hold <= now + LONGEST_PAUSE else now,
        intervals=intervals,
        holds={kind: until for kind, until in holds if now < until <= now + LONGEST_PAUSE},
    )


def encode(state: SharedPaceState) -> bytes:
    """Return *state* as it is kept."""
    moments = [state.last, state.hold]
    if state.holds:
        moments += [state.holds.get(kind, _NEVER) for kind in Kind]
    numbers = [*moments, *state.intervals]
    magic = _MAGIC_OF_KINDS if state.holds else _MAGIC
    return magic + struct.pack(f"<{len(numbers)}d", *numbers)
