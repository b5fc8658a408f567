"""The traces that are kept, one file each, and the ones that the code makes now."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Final

from .cuts import trace_of_cuts
from .play import trace
from .scenarios import CRASHES, SCENARIOS

EXPECTED: Final = Path(__file__).with_name("expected")
NAMES: Final = (*SCENARIOS, *CRASHES)


@dataclass(frozen=True)
class Traced:
    """*text* is what a file keeps; *whole* has all events, also those that it keeps by digest."""

    text: str
    whole: str


def traced(name: str, path: Path) -> Traced:
    """Play the scenario *name* in the empty folder *path*."""
    if name in CRASHES:
        cuts = trace_of_cuts(CRASHES[name], path)
        return Traced(cuts.short, cuts.whole)
    text = trace(SCENARIOS[name], path)
    return Traced(text, text)


def kept(name: str) -> str:
    """Return the trace that is kept, empty where there is none."""
    file = _file(name)
    return file.read_text(encoding="utf-8") if file.exists() else ""


def keep(name: str, text: str) -> None:
    _file(name).write_text(text, encoding="utf-8")


def strays() -> list[Path]:
    """Return the files of which there is no scenario."""
    return sorted(file for file in EXPECTED.iterdir() if file.stem not in NAMES)


def differences(name: str, text: str) -> Iterator[str]:
    """Yield what is other in *text* than in the trace that is kept."""
    old, new = kept(name).splitlines(), text.splitlines()
    return unified_diff(old, new, f"{name} as kept", f"{name} now", lineterm="")


def _file(name: str) -> Path:
    return EXPECTED / f"{name}.txt"
