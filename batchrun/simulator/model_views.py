"""The JSON of models, of their inputs, examples and creators (pure)."""

from typing import Any, Final

from batchrun.simulator import outputs, prices
from batchrun.simulator.catalog import Input, Model
from batchrun.simulator.life import LASTS
from batchrun.simulator.views import RELEASED, iso, made_id

NAMES: Final = {"openai": "OpenAI", "bytedance": "ByteDance", "google": "Google"}


def model_object(model: Model) -> dict[str, Any]:
    """Return a model of the catalogue; fields that need no value here are null."""
    owner, _, slug = model.id.partition("/")
    nothing = dict.fromkeys(
        [
            "icon_url",
            "cover_url",
            "family_id",
            "family_variant_code",
            "param_count",
            "architecture",
            "license_code",
            "max_resolution",
            "paper_url",
            "github_url",
            "seo",
            "content",
            "created_by",
            "deleted_at",
            "deleted_by",
        ]
    )
    return {
        **nothing,
        "id": model_id(model),
        "org_id": None,
        "model_creator_id": made_id("creator", owner),
        "slug": model.id,
        "name": f"{_owner_name(owner)} {slug.replace('/', ' ').replace('-', ' ')}",
        "description": _description(model),
        "version": "1",
        "is_public": True,
        "category_code": "comfyui" if model.workflow else model.media,
        "status_code": "active",
        "availability_status": "available",
        "supports_streaming": False,
        "is_open_source": False,
        "lora_support": False,
        "fine_tuning": False,
        "is_official": True,
        "notable_features": [],
        "pricing_note": model.note or f"${model.price}/{model.unit}",
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
        "inputs": inputs(model),
        "outputs": [
            {
                "id": made_id("output", model.id),
                "name": f"{model.media}s",
                "variable_type_code": f"{model.media}_list",
            }
        ],
    }


def model_id(model: Model) -> str:
    return made_id("model", model.id)


def inputs(model: Model) -> list[dict[str, Any]]:
    return [_input(model, given, n) for n, given in enumerate(model.inputs)]


def creator(owner: str) -> dict[str, Any]:
    """Return who makes models; only the route is documented."""
    return {
        "id": made_id("creator", owner),
        "slug": owner,
        "name": _owner_name(owner),
        "description": None,
        "icon_url": None,
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
    }


def example(model: Model, base_url: str) -> dict[str, Any]:
    """Return the model's example; it has the id of the model, as it is the only one.

    Documented are `input`, `output`, `cost` and `duration_ms` (section 16).
    """
    needed = {each.name for each in model.inputs if each.required} | {*model.either[:1]}
    values = {each.name: _value(each, base_url) for each in model.inputs if each.name in needed}
    url = f"{base_url}/examples/output.png"
    file = outputs.entry(model, values, url) | {"type": "image"}
    shaped = {"image_urls": [url]} if model.output == "image_urls" else {"outputs": [file]}
    return {
        "id": model_id(model),
        "model_id": model_id(model),
        "name": "a simulated example",
        "input": values,
        "output": shaped,
        "cost": str(prices.price(model, values)),
        "duration_ms": round(sum(LASTS[model.media]) / 2 * 1000),
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
    }


def _value(given: Input, base_url: str) -> Any:
    """Return a value that the input takes."""
    if given.default is not None or given.enum:
        return given.enum[0] if given.default is None and given.enum else given.default
    url = f"{base_url}/examples/input.png"
    return {
        "image": url,
        "image_list": [url],
        "json": {},
        "boolean": False,
        "integer": given.low or 0,
    }.get(given.type, "a red kite over a harbour")


def _owner_name(owner: str) -> str:
    return NAMES.get(owner, owner.title())


def _description(model: Model) -> str:
    said = "simulated: nothing real is made"
    return f"{said}; made up: {model.made_up}" if model.made_up else said


def _input(model: Model, given: Input, order: int) -> dict[str, Any]:
    code, attrs = _validator(given)
    return {
        "id": made_id("input", model.id, given.name),
        "model_id": made_id("model", model.id),
        "name": given.name,
        "display_name": given.name.replace("_", " ").title(),
        "description": given.says or None,
        "variable_type_code": given.type,
        "default_behavior_code": "optional" if given.default is None else "static",
        "validator_code": code,
        "validator_attrs": attrs,
        "is_required": given.required,
        "default_value": given.default,
        "sort_order": order,
        "is_featured": given.required,
        "created_at": iso(RELEASED),
        "updated_at": iso(RELEASED),
    }


def _validator(given: Input) -> tuple[str | None, dict[str, Any] | None]:
    if given.enum is not None:
        return "enum", {"enum": list(given.enum)}
    if given.low is None and given.high is None:
        return None, None
    names = {"string": ("length", "min_length", "max_length"), "integer": ("range", "min", "max")}
    code, low, high = names.get(given.type, ("items", "min_items", "max_items"))
    return code, {low: given.low, high: given.high}
