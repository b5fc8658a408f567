"""The steps of a model: which ones a run has, and what each leaves (pure).

Fact sheet, section 16: dyver-removal returns every stage and the final one, whose URL has `result_`
in its name. Which steps other models have is not public; theirs are made up.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from batchrun.simulator.catalog import Model

FIRST: Final = "prepare"
LAST: Final = "finish"


def steps(model: Model, values: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the steps in their order; a simple model is one step."""
    if model.stages:
        return FIRST, *stages(model, values), LAST
    return model.steps or (model.id.rpartition("/")[2],)


def stages(model: Model, values: Mapping[str, Any]) -> Sequence[str]:
    """Return the stages that `config.elements` asks for, all of them where it names none."""
    config = values.get("config")
    asked = config.get("elements") if isinstance(config, dict) else None
    chosen = [stage for stage in model.stages if isinstance(asked, list) and stage in asked]
    return chosen or model.stages


def count(model: Model, values: Mapping[str, Any]) -> int:
    return len(steps(model, values)) if model.stages or model.steps else 1
