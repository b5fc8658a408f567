"""All benchmarks, one after another, and docs/benchmarks.md written from what they found.

    python -m benchmarks [--only SECTION,...] [--quick]

--only leaves the other sections of the page as they are, if they were measured on the same machine
with the same versions. --quick takes small sizes and prints; it says whether all of it works, and
nothing else.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.page import Section, page_of, parts_of, verdict, written
from benchmarks.sections import (
    callbacks,
    calls,
    grid,
    ledger,
    looking,
    pace,
    pages,
    profile,
    runs,
    startup,
)

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SECTIONS: Final = tuple(
    each.SECTION
    for each in (runs, profile, calls, callbacks, pace, ledger, startup, looking, grid, pages)
)
NAMES: Final = tuple(section.name for section in SECTIONS)
TOLD: Final = (
    "Written by `python -m benchmarks`: batchrun beside what one would otherwise write, both sides "
    "of a ratio measured in the same run. Seconds, bytes and runs a second hold for this machine "
    "only, the ratios for most. What is asked is what batchrun set out to reach; what it misses is "
    "shown as missed."
)


def measured(section: Section, *, quick: bool) -> str:
    print(f"{section.title} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    found = section.measure(quick=quick)
    return written(section, found, machine.when(time.monotonic() - began))


def page(parts: Mapping[str, str]) -> str:
    """Return the page with what *parts* there are, by title, under a head that counts the goals."""
    shown = [parts[each.title] for each in SECTIONS if each.title in parts]
    return page_of(["# Benchmarks", f"{TOLD} {verdict(shown)}", machine.described()], shown)


def kept() -> dict[str, str]:
    """Return the sections of the page as it is, if this machine and its versions measured them."""
    head, parts = parts_of(PAGE.read_text("utf-8")) if PAGE.exists() else ("", {})
    if head and machine.described() not in head.replace("\n", " "):
        sys.exit("the page was measured on another machine or with other versions; run all of it")
    return parts


def sections(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        message = f"no section {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        raise argparse.ArgumentTypeError(message)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=sections, default=list(NAMES), metavar="SECTION,...")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    parts = {} if options.quick or options.only == list(NAMES) else kept()
    for section in SECTIONS:
        if section.name in options.only:
            parts[section.title] = measured(section, quick=options.quick)
            if not options.quick:  # an interrupted call leaves what it has measured
                PAGE.write_text(page(parts), encoding="utf-8")
    if options.quick:
        print(page(parts), end="")


if __name__ == "__main__":
    main()
