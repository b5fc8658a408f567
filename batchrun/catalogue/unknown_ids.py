"""When an id that the service doesn't know is a mistake (rule 35 of the contract). Pure.

A service may have models that it doesn't list, such as workflows, and a description that can't be
had says nothing. So an id is a mistake only where the list was read to its end and has an id of the
same owner. Its caller knows one reason more: that no ledger here has a run of it that succeeded.
"""

from collections.abc import Iterable
from typing import Final

from batchrun.base.text import near_misses
from batchrun.catalogue.entries import Listed

NEAREST: Final = 3
"""Names that a message offers."""


def is_mistake(model: str, listed: Listed | None) -> bool:
    """Say whether *model*, which has no description, is none of the service's models.

    *listed* is None where its list wasn't read to its end.
    """
    if listed is None or model in listed.ids:
        return False
    owner = _owner(model)
    return any(_owner(known) == owner for known in listed.ids)


def unknown(model: str, known: Iterable[str]) -> str:
    """Return the message for an id that is a mistake, with the nearest ones."""
    near = " or ".join(f"`{name}`" for name in near_misses(model, known, most=NEAREST))
    advice = f"did you mean {near}?" if near else f"`batchrun models {_owner(model)}` lists some"
    return f"the service has no model `{model}`; {advice}"


def _owner(model: str) -> str:
    return model.partition("/")[0]
