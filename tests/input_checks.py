"""Manifests that are checked against descriptions made by hand."""

from collections.abc import Callable, Collection, Container, Mapping
from pathlib import Path
from typing import Any

from batchrun.catalogue.checks import check_cells
from batchrun.catalogue.problems import InputProblems
from batchrun.catalogue.proof import Question
from batchrun.errors import Problem
from batchrun.manifest.cells import Cell
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.runflow.descriptions import Description, parse_description

RATIOS = ["1:1", "2:3", "16:9"]


def described(**inputs: Any) -> Description:
    """Return a description: each input is a type, or the fields of the service's object."""
    bodies = []
    for name, each in inputs.items():
        body = {"variable_type_code": each} if isinstance(each, str) else dict(each)
        attributes = {
            key: body.pop(key)
            for key in ("enum", "minimum", "maximum", "min", "max")
            if key in body
        }
        bodies.append({"name": name, "validator_attrs": attributes, **body})
    return parse_description({"inputs": bodies})


def text(**more: Any) -> dict[str, Any]:
    return {"variable_type_code": "string", **more}


NANO = described(
    prompt=text(is_required=True, min=3, max=40),
    aspect_ratio=text(enum=RATIOS, default_value="1:1"),
    num_images={"variable_type_code": "integer", "minimum": 1, "maximum": 4},
    image_urls="image_list",
    seed="integer",
)
"""What tests call `google/nano`."""


def everything(_cell: Cell) -> bool:
    return True


def nothing_proven(_questions: Collection[Question]) -> Container[Question | None]:
    return ()


class Sheet:
    """A manifest in a folder of its own."""

    def __init__(self, folder: Path, manifest: str, **files: str) -> None:
        self.folder = folder
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_text(content)
        (folder / "m.yaml").write_text(manifest)

    @property
    def loaded(self) -> Manifest:
        return load_manifest(self.folder / "m.yaml", {})

    def check(
        self,
        descriptions: Mapping[str, Description] | None = None,
        *,
        wanted: Callable[[Cell], bool] = everything,
        proof: Callable[[Collection[Question]], Container[Question | None]] = nothing_proven,
    ) -> InputProblems:
        known = {"google/nano": NANO} if descriptions is None else descriptions
        return check_cells(self.loaded, known, wanted=wanted, proof=proof)

    def errors(self, **options: Any) -> list[str]:
        """Return the errors as lines that begin at the folder."""
        return self.lines(self.check(**options).errors)

    def lines(self, problems: Collection[Problem]) -> list[str]:
        return [f"{each.place}: {each.message}".replace(f"{self.folder}/", "") for each in problems]
