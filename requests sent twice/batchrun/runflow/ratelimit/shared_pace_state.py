"""The state of a pace that processes share: when the last call left, and how they pace.

Pure: `shared_pace.py` keeps it in a file. All moments are of one clock, which all processes of the
machine read alike and which begins anew when the machine does.

* The next call of any process leaves no sooner after the last than the slowest of them allows.
  So over all of them together any window w holds at most floor(lowest rate * w) + 1 departures.
* No call leaves while the service has asked for a pause. But after LONGEST_PAUSE each process asks
  for itself: a process without any answer could not know when to give up.
"""

import math
import struct
from typing import Final

from msgspec import Struct, field

_MAGIC: Final = b"batchrun pace 1\n"
_HEAD: Final = struct.Struct(f"<{len(_MAGIC)}sdd")
_MARGIN: Final = 1e-6  # as in `pace.py`
LONGEST_PAUSE: Final = 60.0  # seconds
SLOTS: Final = 256


class SharedPaceState(Struct):
    """*intervals* are seconds between calls, one for each process by its slot, 0 for no process."""

    last: float = float("-inf")
    hold: float = float("-inf")
    intervals: list[float] = field(default_factory=list)

    def wait(self, now: float) -> float:
        """Return the seconds until a call of any process may leave."""
        between = max(self.intervals, default=0.0)
        return max(0.0, self.last + between + _MARGIN - now, self.hold - now)

    def enter(self, slot: int, interval: float) -> None:
        """Note how the process at *slot* paces; 0 is that it is gone."""
        self.intervals += [0.0] * (slot + 1 - len(self.intervals))
        self.intervals[slot] = interval


def decode(text: bytes, now: float) -> SharedPaceState:
    """Return what *text* says; where it isn't ours, or can't be true, a state begun anew."""
    tail = len(text) - _HEAD.size
    if tail < 0 or tail % 8 or not text.startswith(_MAGIC):
        return SharedPaceState()
    _, last, hold = _HEAD.unpack_from(text)
    intervals = list(struct.unpack_from(f"<{tail // 8}d", text, _HEAD.size))
    if math.isnan(last) or math.isnan(hold) or len(intervals) > SLOTS:
        return SharedPaceState()
    if not all(0.0 <= each < math.inf for each in intervals):  # NaN neither
        return SharedPaceState()
    # No call has left in the future: the machine was started since, and so was its clock.
    return SharedPaceState(min(last, now), hold if hold <= now + LONGEST_PAUSE else now, intervals)


def encode(state: SharedPaceState) -> bytes:
    """Return *state* as it is kept."""
    head = _HEAD.pack(_MAGIC, state.last, state.hold)
    return head + struct.pack(f"<{len(state.intervals)}d", *state.intervals)
