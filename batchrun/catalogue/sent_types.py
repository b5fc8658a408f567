"""The types that values are converted to as they are sent, by models' descriptions. Pure.

A description that lists what it allows in another type than its own takes either: nothing is
converted there. So it is where it says no type, but for a list of texts or of numbers alone.
"""

from collections.abc import Iterable, Iterator, Mapping

from batchrun.manifest.grid.sent_as import BOOLEAN, INTEGER, NUMBER, STRING
from batchrun.runflow.descriptions import DescribedInput, Description

_NUMBERS = frozenset({int, float})


def sent_types(descriptions: Mapping[str, Description]) -> dict[str, dict[str, str]]:
    """Return the type that each input takes, by the model's id and the input's name."""
    found = {model: dict(_of_model(each)) for model, each in descriptions.items()}
    return {model: types for model, types in found.items() if types}


def _of_model(description: Description) -> Iterator[tuple[str, str]]:
    for name, each in description.inputs.items():
        wanted = _wanted(each)
        if wanted is not None:
            yield name, wanted


def _wanted(described: DescribedInput) -> str | None:
    listed = [*map(type, described.allowed or ())]
    texts, numbers = _all(listed, {str}), _all(listed, _NUMBERS)
    match described.kind:
        case "string":
            return STRING if texts or not listed else None
        case "integer" | "number":
            wanted = INTEGER if described.kind == "integer" else NUMBER
            return wanted if numbers or not listed else None
        case "boolean":
            return BOOLEAN if not listed or _all(listed, {bool}) else None
        case None if texts:
            return STRING
        case None if numbers:
            return NUMBER
        case _:
            return None


def _all(listed: Iterable[type], kinds: Iterable[type]) -> bool:
    """Say whether there is a list, and all of it is of *kinds*."""
    found = set(listed)
    return bool(found) and found <= set(kinds)
