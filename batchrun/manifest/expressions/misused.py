"""A `$` operator that is unknown, or doesn't stand alone: what to write in its place. Pure."""

from collections.abc import Sequence
from typing import Final

from batchrun.base.text import did_you_mean
from batchrun.errors import Problem
from batchrun.manifest.yaml.document import MapNode

_SPACED: Final = "`$range: {first: 1, last: 1000, count: 4, spacing: log}`"
# What somewhere else is called so, or would be written so.
_ELSEWHERE: Final = {
    **dict.fromkeys(("$count", "$spacing", "$linspace", "$logspace", "$geomspace"), _SPACED),
    **dict.fromkeys(("$read", "$content", "$include", "$readfile", "$string"), "`$text`"),
}


def misuse(node: MapNode, key: str, known: Sequence[str]) -> Problem:
    """Return what is wrong with the mapping of the operator *key*: another key in it."""
    others = [each for each, _ in node.entries if each.text not in known]
    unknown = next((each for each in others if each.text.startswith("$")), None)
    if unknown is not None:
        return unknown.problem(f"unknown operator `{unknown.text}`{_meant(unknown.text, known)}")
    beside = next(iter([*others, *(each for each, _ in node.entries if each.text != key)]))
    return beside.problem(f"`{key}` stands alone in its mapping; `{beside.text}` is too much")


def _meant(word: str, known: Sequence[str]) -> str:
    if not word[1:].isalpha():
        return "; quote the text if it is none"
    near = _ELSEWHERE.get(word)
    return f"; did you mean {near}?" if near else did_you_mean(word, known)
