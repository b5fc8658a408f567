"""The page of figures as text: goals, tables, and sections that can be replaced one by one."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

WIDTH = 120  # of the documents' lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound for one figure, which is shown in *form*; `%` in it means a share."""

    what: str
    least: float | None = None
    most: float | None = None
    form: str = ".2f"

    @property
    def asked(self) -> str:
        word, bound = ("at most", self.most) if self.least is None else ("at least", self.least)
        return f"{word} {bound:.0%}" if "%" in self.form else f"{word} {bound:g}"

    def row(self, measured: float | None) -> tuple[str, str, str, str]:
        """Return what was asked, what was measured (None where it couldn't be), and whether met."""
        if measured is None:
            return self.what, self.asked, "not measured", "unknown"
        met = (self.least is None or measured >= self.least) and (
            self.most is None or measured <= self.most
        )
        return self.what, self.asked, format(measured, self.form), "met" if met else "**missed**"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a section has to say, in paragraphs and tables, and the figure of each goal in turn."""

    text: Sequence[str]
    measured: Sequence[float | None] = ()


def joined(*findings: Findings) -> Findings:
    return Findings(
        [each for found in findings for each in found.text],
        [each for found in findings for each in found.measured],
    )


class Measure(Protocol):
    def __call__(self, *, quick: bool) -> Findings:
        """Measure; *quick* means that small sizes will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page."""

    name: str
    title: str
    measure: Measure
    goals: Sequence[Goal] = ()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is words, and the others figures."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(section: Section, found: Findings, measured_when: str) -> str:
    """Return the section's text; its first paragraph ends with *measured_when*."""
    told, *rest = found.text
    parts = [f"## {section.title}", *map(_filled, (f"{told} {measured_when}", *rest))]
    if section.goals:
        rows = [g.row(value) for g, value in zip(section.goals, found.measured, strict=True)]
        parts.append(table(("goal", "asked", "measured", "is"), rows))
    return "\n\n".join(parts)


def _filled(text: str) -> str:
    """Return a paragraph in lines of the documents' width; a table is as it is."""
    return text if text.startswith("|") else textwrap.fill(text, WIDTH, break_on_hyphens=False)


def page_of(head: Sequence[str], parts: Iterable[str]) -> str:
    return "\n\n".join([*map(_filled, head), *parts]) + "\n"


def parts_of(page: str) -> tuple[str, dict[str, str]]:
    """Return the head of a page, and its sections by title."""
    head, *parts = re.split(r"\n\n(?=## )", page.rstrip("\n"))
    return head, {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def verdict(parts: Iterable[str]) -> str:
    """Return how many of the goals in *parts* are met."""
    words = re.findall(r"\| (met|\*\*missed\*\*|unknown) \|$", "\n".join(parts), re.MULTILINE)
    unknown = words.count("unknown")
    told = f"Of {len(words)} goals {words.count('met')} are met, {words.count('**missed**')} missed"
    return f"{told}, and {unknown} could not be measured here." if unknown else f"{told}."
