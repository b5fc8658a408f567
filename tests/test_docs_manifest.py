"""docs/manifest.md: every example comes to what stands below it, every setting is as it says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from settings_page import written

from batchrun.base.endpoint import DEFAULT_ENDPOINT
from batchrun.base.local_file import LocalFile
from batchrun.commands import run
from batchrun.errors import ManifestError
from batchrun.manifest.cell_key import IDENTITY
from batchrun.manifest.expressions.compiler import OPERATORS
from batchrun.manifest.file_names import DEFAULT_NAME
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.settings import SETTINGS

DOCS = Path(__file__).parent.parent / "docs"
_PLAIN = {"true": True, "false": False}
TEXT = (DOCS / "manifest.md").read_text(encoding="utf-8")
IMAGES = ("a.png", "b.png", *(f"{f}/{n}.png" for f in ("photos", "masks") for n in ("one", "two")))


@dataclass
class Example:
    """A manifest, the files it needs, and the block below it."""

    line: int
    manifest: str = ""
    expected: str = ""
    files: dict[str, str] = field(default_factory=dict)


def examples() -> list[Example]:
    return list(_examples())


def _examples() -> Iterator[Example]:
    found = Example(0)
    for match in re.finditer(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        language, name, body = match.groups()
        if name is not None:
            found.files[name] = body
        elif language == "yaml":
            assert not found.manifest, f"line {found.line}: nothing says what this comes to"
            found.manifest, found.line = body, TEXT[: match.start()].count("\n") + 1
        else:
            found.expected = body
            yield found
            found = Example(0)


def shown(value: Any) -> Any:
    """Return a file as the manifest would write it, at any depth."""
    if isinstance(value, LocalFile):
        return {"$file": value.written}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value


def outcome(path: Path, expected: str) -> str:
    """Return what the manifest comes to, in the way that *expected* says it."""
    try:
        cells = list(expand(load_manifest(path, {})))
    except ManifestError as error:
        lines = (str(problem).partition("\n")[0] for problem in error.problems)
        return "".join(f"{line.replace(f'{path.parent}/', '')}\n" for line in lines)
    if count := re.fullmatch(r"\d+ cells?(, \d+ points)?\n", expected):
        points = f", {len(cells)} points" if count[1] else ""
        keys = len({cell.key for cell in cells})
        return f"{keys} {'cell' if keys == 1 else 'cells'}{points}\n"
    inputs = [json.dumps(shown(cell.input), ensure_ascii=False) for cell in cells]
    if expected.startswith("{"):
        return "".join(f"{text}\n" for text in inputs)
    width = max(len(cell.alias) for cell in cells)
    return "".join(
        f"{cell.alias:<{width}} {text}\n" for cell, text in zip(cells, inputs, strict=True)
    )


@pytest.mark.parametrize("example", examples(), ids=lambda example: f"line {example.line}")
def test_an_example_comes_to_what_stands_below_it(tmp_path: Path, example: Example) -> None:
    for name, content in example.files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for name in IMAGES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    path = tmp_path / "m.yaml"
    models = "" if "models:" in example.manifest else "models: [google/nano-banana-2]\n"
    path.write_text(example.manifest + models, encoding="utf-8")

    assert outcome(path, example.expected) == example.expected


def test_there_are_as_many_examples_as_manifests() -> None:
    assert len(examples()) == TEXT.count("```yaml\n") >= 20


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table whose first column is called *heading*, by their first cell."""
    _, _, rest = TEXT.partition(f"\n| {heading} |")
    rows = [row.strip("|").split(" | ") for row in rest.partition("\n\n")[0].splitlines()[2:]]
    return {cells[0].strip(" `"): [cell.strip(" |`") for cell in cells[1:]] for cells in rows}


def test_every_setting_is_documented() -> None:
    groups = ("limits.", "poll.", "callbacks.", "outputs.")
    wanted = {name for name in IDENTITY if name.startswith(groups)}

    assert table("key").keys() == wanted | {"name", "metadata", "endpoint"}


def test_the_lines_of_settings_are_made_from_their_table() -> None:
    assert written(TEXT) == TEXT, "run `PYTHONPATH=tests python -m settings_page`"


def test_the_defaults_are_those_that_are_documented(tmp_path: Path) -> None:
    path = tmp_path / "the-stem.yaml"
    path.write_text("models: [a/b]\n", encoding="utf-8")
    manifest = load_manifest(path, {})
    said = {name: cells[0] for name, cells in table("key").items()}
    settings = manifest.settings()

    for each in SETTINGS:
        if each.key is not None:
            word = said[each.key]
            default = each.reader(_PLAIN.get(word, word)) if each.written else None
            assert getattr(settings, each.name) == default, each.key
    assert said["outputs.name"] == DEFAULT_NAME
    assert said["endpoint"] == DEFAULT_ENDPOINT
    assert manifest.name == path.stem
    assert (said["limits.budget"], said["metadata"]) == ("none", "none")


def test_the_options_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))

    options = {cells[2] for cells in table("key").values() if len(cells) > 2 and cells[2]}

    assert len(options) >= 10
    assert options <= known


def test_every_operator_is_documented() -> None:
    assert {word.partition(":")[0] for word in table("operator")} == set(OPERATORS)


def heads(page: str) -> set[str]:
    """Return the anchors of a page's headings."""
    return {
        re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        place, _, anchor = target.partition("#")
        page = (DOCS / place).read_text(encoding="utf-8") if place else TEXT
        assert not anchor or anchor in heads(page), target
