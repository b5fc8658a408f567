"""What expanding a grid costs."""

from typing import Final

from benchmarks.grid import CASES, in_process
from benchmarks.page import Findings, Section, table


def measure(*, quick: bool) -> Findings:
    points = 20_000 if quick else 1_000_000
    found = {case: in_process(case, points) for case in CASES}
    rows = [
        (
            case,
            f"{each['cells']:,.0f}",
            f"{each['load']:.2f}",
            f"{points / each['expand']:,.0f}",
            f"{each['expand'] / each['naive']:.2f}",
            f"{each['peak']:.0f}",
        )
        for case, each in found.items()
    ]
    heads = ("cells", "s to load", "points/s", "by naive", "MiB at most")
    told = (
        f"{points:,} points, expanded and hashed to cells, none kept; beside it as many points by "
        "itertools.product, json and blake2b and nothing else (`naive`)."
    )
    return Findings([told, table(("", *heads), rows)])


SECTION: Final = Section(name="grid", title="The grid", measure=measure)
