"""What a run costs: the price of a unit, by the inputs, times the units that are made (pure).

An input that is not given has its default. Costs are USD.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from batchrun.simulator.catalog import Model, Rule

USUAL_SECONDS: Final = 5  # of a video whose duration is "auto"; how long the real ones are is open
HUNDREDTH: Final = Decimal("0.01")


def price(model: Model, values: Mapping[str, Any]) -> Decimal:
    """Return what a run costs that ends well; checked against the balance before it starts."""
    return unit_price(model, values) * units(model, values)


def charged(model: Model, values: Mapping[str, Any], outcome: str) -> Decimal | None:
    """Return what a run with this *outcome* costs; a failed one is not billed (section 11).

    A cancelled run keeps what its provider charged (section 7).
    """
    if outcome == "failed":
        return None
    return unit_price(model, values) * _made(model, values, outcome)


def breakdown(model: Model, values: Mapping[str, Any], outcome: str) -> dict[str, str] | None:
    """Return how the cost came about, None where no input changes the price of a unit.

    No document has the shape of a `cost_breakdown`, nor says which runs have one.
    """
    cost = charged(model, values, outcome)
    if cost is None or not model.rules:
        return None
    return {
        "unit": model.unit,
        "unit_price": str(unit_price(model, values)),
        "units": str(_made(model, values, outcome)),
        "total": str(cost),
    }


def unit_price(model: Model, values: Mapping[str, Any]) -> Decimal:
    """Return what one unit costs with these inputs."""
    if not model.rules:
        return model.price
    holding = [rule for rule in model.rules if _holds(rule, model, values)]
    prices = (rule.price for rule in holding if rule.price is not None)
    return sum((rule.more for rule in holding), next(prices, model.price))


def _holds(rule: Rule, model: Model, values: Mapping[str, Any]) -> bool:
    return all(_value(model, values, name) == value for name, value in rule.when.items())


def _value(model: Model, values: Mapping[str, Any], name: str) -> Any:
    given = values.get(name)
    return model.defaults.get(name) if given is None else given


def units(model: Model, values: Mapping[str, Any]) -> Decimal:
    """Return how many units a run makes that ends well."""
    match model.unit:
        case "request":
            return Decimal(1)
        case "image":
            return Decimal(output_count(model, values))
        case "second":
            return Decimal(seconds_of_video(_value(model, values, "duration")))
        case "megapixel":
            size = megapixels(_value(model, values, "image_size"))
            return size * output_count(model, values)


def _made(model: Model, values: Mapping[str, Any], outcome: str) -> Decimal:
    """Return how many units are billed of a run with this *outcome*."""
    if model.unit == "image":
        return Decimal(landed(model, values, outcome) or output_count(model, values))
    return units(model, values)


def output_count(model: Model, values: Mapping[str, Any]) -> int:
    """Return how many outputs a run is to have."""
    count = values.get("num_images")
    return count if model.media == "image" and isinstance(count, int) and count > 0 else 1


def landed(model: Model, values: Mapping[str, Any], outcome: str) -> int:
    """Return how many outputs a run with this *outcome* has."""
    count = output_count(model, values)
    return {"succeeded": count, "partial_succeeded": (count + 1) // 2}.get(outcome, 0)


def seconds_of_video(duration: Any) -> int:
    """Return the seconds that a duration asks for: `5`, `"5"`, `"8s"` or `"auto"`."""
    match = re.fullmatch(r"([1-9]\d{0,3})s?", str(duration), re.ASCII)
    return int(match[1]) if match else USUAL_SECONDS


def megapixels(size: Any) -> Decimal:
    """Return millions of pixels of a size such as `1536x1024`, to the hundredth; else 1."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", str(size), re.ASCII)
    if match is None:
        return Decimal(1)
    return (Decimal(int(match[1]) * int(match[2])) / 1_000_000).quantize(HUNDREDTH)
