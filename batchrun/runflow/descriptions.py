"""Models as the service describes them. Pure; read tolerantly: what isn't understood is no rule.

No public source shows a real `validator_code` or `validator_attrs` (runflow-api.md, section 16):
any list of plain values among an input's attributes is taken for the values that it allows.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

_PLAIN: Final = (str, int, float, bool)


class Description(Struct, frozen=True, kw_only=True):
    """A model's price label, and its inputs with the texts that each allows; None: any text."""

    label: str | None = None
    inputs: Mapping[str, frozenset[str] | None] = field(default_factory=dict)

    @property
    def lists_values(self) -> bool:
        """Whether it says of any input which values it allows: else it says so of none."""
        return any(allowed is not None for allowed in self.inputs.values())


def parse_description(body: Mapping[str, Any]) -> Description:
    """Return what the model object *body* says, without what can't be understood."""
    label, inputs = body.get("pricing_note"), body.get("inputs")
    return Description(
        label=label if isinstance(label, str) and label else None,
        inputs={
            each["name"]: _allowed(each.get("validator_attrs"))
            for each in (inputs if isinstance(inputs, list) else ())
            if isinstance(each, Mapping) and isinstance(each.get("name"), str)
        },
    )


def _allowed(attributes: object) -> frozenset[str] | None:
    for value in attributes.values() if isinstance(attributes, Mapping) else ():
        if isinstance(value, list) and value and all(isinstance(each, _PLAIN) for each in value):
            return frozenset(each for each in value if isinstance(each, str))
    return None
