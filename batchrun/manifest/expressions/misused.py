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
    keys = [each for each, _ in node.entries]
    other = next((each for each in keys if each.text not in known), None)
    if other is not None and other.text.startswith("$"):
        near = _ELSEWHERE.get(other.text)
        hint = f"; did you mean {near}?" if near else did_you_mean(other.text, known)
        return other.problem(f"unknown operator `{other.text}`{hint}")
    beside = other or next(each for each in keys if each.text != key)
    return beside.problem(f"`{key}` stands alone in its mapping; `{beside.text}` is too much")
