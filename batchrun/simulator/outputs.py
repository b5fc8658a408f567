"""What a run leaves, in the shape that its model has (pure).

Fact sheet, section 16: tag-removal, product-isolation and background-removal answer `image_urls`,
the others the normalised `outputs`; dyver-removal answers every stage and the final one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from batchrun.simulator import life, prices, steps
from batchrun.simulator.catalog import Model
from batchrun.simulator.node_runs import COMPLETED, nodes
from batchrun.simulator.shapes import file_type, size
from batchrun.simulator.store import Run

Url = Callable[[str, str], str]
"""Spells the URL of a run's file: run id, name with its suffix."""

ENDED_WELL: Final = frozenset({"succeeded", "partial_succeeded"})


def file_names(run: Run, model: Model, values: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the files that the run leaves, without their suffix."""
    if not model.stages:
        return [str(number) for number in range(prices.landed(model, values, run.outcome))]
    if run.outcome not in ENDED_WELL:
        return ()
    left = [node.name for node in nodes(run, model) if node.outcome in COMPLETED]
    return [name for step in left if (name := file_of_step(model, step)) is not None]


def file_of_step(model: Model, step: str) -> str | None:
    """Return the name of the file that a step of a model with stages leaves, if it leaves one."""
    if step == steps.LAST:
        return "result_0"
    return f"{step}_0" if step in model.stages else None


def output(run: Run, model: Model, values: Mapping[str, Any], url: Url) -> dict[str, Any] | None:
    """Return the output of a run that has ended; *url* spells its files."""
    names = file_names(run, model, values)
    return _whole(run, model, values, names, url) if names else None


def one_file(
    run: Run, model: Model, values: Mapping[str, Any], name: str, url: Url
) -> dict[str, Any]:
    """Return the output of a step that leaves the file *name*."""
    return _whole(run, model, values, [name], url)


def _whole(
    run: Run, model: Model, values: Mapping[str, Any], names: Sequence[str], url: Url
) -> dict[str, Any]:
    suffix = file_type(values, model.media).suffix
    urls = [url(run.id, f"{name}.{suffix}") for name in names]
    if model.output == "image_urls":
        return {"image_urls": urls}
    return {
        "outputs": [entry(model, values, each) for each in urls],
        "seed": values.get("seed", run.number),
        "timing": {"inference": round((run.ended - run.running) / life.SECOND, 3)},
        "nsfw_detected": False,
    }


def entry(model: Model, values: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the file at *url* as the normalised output has it."""
    width, height = size(values, model.media)
    return {"url": url, "type": model.media, "width": width, "height": height}


def urls_of(output: Mapping[str, Any]) -> Sequence[str]:
    """Return the URLs of an output of either shape."""
    urls: Sequence[str] | None = output.get("image_urls")
    return [file["url"] for file in output["outputs"]] if urls is None else urls


def with_url(output: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the output with *url* for that of each file."""
    if "image_urls" in output:
        return {**output, "image_urls": [url for _ in output["image_urls"]]}
    return {**output, "outputs": [{**file, "url": url} for file in output["outputs"]]}
