"""Plays a scenario once for each effect of one of its processes, which dies before that effect.

Of each cut the trace holds all that the later calls do. Many cuts leave the same behind, and the
later calls differ only in their moments: of these the trace holds the first in full, and of each
other one a digest, by which a change of any moment is seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .play import play
from .process import Life
from .scenarios import Crash

MOMENT = re.compile(r"^ *\d+\.\d{3}|T\+\d+\.\d{3}", re.MULTILINE)


@dataclass(frozen=True)
class Cuts:
    """*short* is what is kept; *whole* has all events of each cut."""

    short: str
    whole: str


def trace_of_cuts(crash: Crash, path: Path) -> Cuts:
    """Return all events of all cuts; each is played in a folder of its own below *path*."""
    undisturbed = Life()
    lines = play(crash.scenario, _folder(path, "undisturbed"), *_lives(crash, undisturbed)).lines()
    short = [f"# {crash.scenario.promise}", *lines]
    whole = list(short)
    first: dict[str, str] = {}
    for life in _cuts(undisturbed):
        name = f"{life.at}{' half' * life.half}"
        cut = play(crash.scenario, _folder(path, name), *_lives(crash, life)).lines()
        common = next(at for at, line in enumerate(cut) if line != lines[at])
        death = next(at for at, line in enumerate(cut) if line.endswith("  killed")) + 1
        before = "\n".join([*cut[common:death], f"{'':11}instead of {lines[common].strip()}"])
        after = "\n".join(cut[death:])
        alike = first.setdefault(MOMENT.sub("", after), name)
        heading = f"\n\n== cut {name}\n{before}"
        short += [heading, after if alike == name else f"\nas after cut {alike}: {_digest(after)}"]
        whole += [heading, after]
    return Cuts("\n".join(short) + "\n", "\n".join(whole) + "\n")


def _digest(events: str) -> str:
    digest = sha256(events.encode()).hexdigest()[:16]
    return f"{len(events.splitlines())} lines, with their moments {digest}"


def _cuts(undisturbed: Life) -> Iterator[Life]:
    for number in range(undisturbed.passed):
        yield Life(number)
        if number in undisturbed.writes:
            yield Life(number, half=True)


def _lives(crash: Crash, life: Life) -> list[Life]:
    return [*(Life() for _ in range(crash.spared)), life]


def _folder(path: Path, name: str) -> Path:
    folder = path / name
    folder.mkdir()
    return folder
