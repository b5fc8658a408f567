"""`--only`: what nobody has is said, and a call that did all it was asked for has succeeded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from called import created
from result_lines import PHOTO, cell

from batchrun.cli import main
from batchrun.errors import ManifestError
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.select import check_found, parse_only, selects
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

MANIFEST = """\
models: [google/nano-banana-2]
inputs: {prompt: [chair, table, x], seed: {$range: [1, 3]}}
exclude: [{prompt: table, seed: 3}]
limits: {rate: 100/s, settle: 300ms, input_errors: warn}
poll: {interval: 100ms}
outputs: {download: false}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_0123456789")
    with embedded(None, settings=Settings(seed=3, speed=200)) as url:
        yield url


class Caller:
    """Calls the command in this process; a call returns its exit code and its object."""

    def __init__(self, manifest: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._words = [str(manifest), "--endpoint", url]
        self._capsys = capsys
        self.command = " ".join(["batchrun", *self._words])
        self.said = ""

    def __call__(self, *options: str) -> tuple[int, dict[str, Any]]:
        code = main([*self._words, "--json", *options])
        shown = self._capsys.readouterr()
        self.said = shown.err
        return code, json.loads(shown.out)


@pytest.fixture
def call(manifest: Path, url: str, capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(manifest, url, capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prompt=zzz"], "`--only prompt=zzz`: no cell has this value"),
        (["prompt=tabel"], "`--only prompt=tabel`: no cell has this value; did you mean `table`?"),
        (["prompt=chair,zz"], "`--only prompt=zz`: no cell has this value"),
        (
            ["prompt=q,r", "seed=9"],
            "\n".join(
                f"`--only {each}`: no cell has this value"
                for each in ("prompt=q", "prompt=r", "seed=9")
            ),
        ),
        (
            ["status=faild"],
            "`--only status=faild`: no cell has that status; did you mean `failed`?",
        ),
        (["cell=zz"], "`--only cell=zz`: no cell has this value"),
        (
            ["prompt=table", "seed=3"],
            "`--only prompt=table --only seed=3`: no cell has all of these",
        ),
        (
            ["seed=1", "seed=2"],
            "`--only seed=2`: no cell has this and what was asked of `seed` before",
        ),
    ],
)
def test_what_no_cell_has_is_a_mistake_and_named(
    manifest: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for each in words for word in ("--only", each)]

    code = main([str(manifest), "--dry-run", "--json", *options])

    assert code == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == says


@pytest.mark.parametrize(
    "words", [["prompt=chair"], ["prompt=x,table", "seed=3"], ["status=failed"], ["code=zzz"], []]
)
def test_what_a_cell_may_have_is_none(manifest: Path, words: list[str]) -> None:
    loaded = load_manifest(manifest, {})

    check_found(parse_only(loaded, words), expand(loaded))


def test_no_more_cells_are_drawn_than_it_takes() -> None:
    drawn = []

    def cells() -> Iterator[Cell]:
        for seed in range(1000):
            drawn.append(seed)
            yield cell(str(seed), values={"seed": seed, "prompt": "chair"})

    check_found({"seed": ("0", "4"), "prompt": ("chair",)}, cells())

    assert drawn == [0, 1, 2, 3, 4]


def test_where_there_are_too_many_values_none_is_told_as_the_one_that_was_meant() -> None:
    few = [cell(values={"seed": seed}) for seed in range(999)]
    many = [cell(values={"seed": seed}) for seed in range(5000)]

    with pytest.raises(ValueError, match="did you mean `99"):
        check_found({"seed": ("9999",)}, few)
    with pytest.raises(ValueError, match=r"no cell has this value$"):
        check_found({"seed": ("9999",)}, many)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (("7",), r"`--only art=7`: no cell has this value; did you mean `007`\?$"),
        (("blau", " hell"), r"^`--only art=blau, hell`: a comma .*; write `blau\\, hell`$"),
        (("blau, hel",), r"did you mean `blau\\, hell`\?$"),
    ],
)
def test_a_value_is_named_as_it_has_to_be_typed(values: tuple[str, ...], says: str) -> None:
    cells = [cell(values={"art": value}) for value in ("007", "blau, hell")]

    with pytest.raises(ValueError, match=says):
        check_found({"art": values}, cells)


def test_a_file_is_meant_by_any_of_its_names() -> None:
    cells = [cell(values={"image": PHOTO})]

    for name in ("a", "a.png", "photos/a.png"):
        check_found({"image": (name,)}, cells)
    with pytest.raises(ValueError, match=r"did you mean `a.png`"):
        check_found({"image": ("b.png",)}, cells)


@pytest.mark.slow
def test_what_was_asked_for_is_done_although_others_are_not(call: Caller, url: str) -> None:
    code, report = call("--only", "prompt=chair", "--budget", "5")

    assert code == 0
    assert (report["cells"], report["succeeded"], report["pending"]) == (8, 3, 5)
    assert report["complete"] is False
    assert report["next"] == (
        "what was selected is done; 5 other cells not done: "
        f"`{call.command} --budget 5` goes on with all"
    )
    before = created(url)
    assert call("--only", "prompt=chair")[0] == 0
    assert created(url) == before


@pytest.mark.slow
def test_what_was_asked_for_is_not_done_where_a_limit_ended_it(call: Caller) -> None:
    code, report = call("--only", "prompt=chair", "--budget", "5", "--limit", "2")

    assert code == 3
    assert report["next"] == (
        f"go on with `{call.command} --only prompt=chair --budget 5`; 1 not yet done"
    )


@pytest.mark.slow
def test_only_what_was_asked_for_can_fail_a_call(call: Caller) -> None:
    failed = call("--only", "prompt=x")  # too short: it is rejected
    allowed = call("--only", "prompt=x,chair", "--fail-on", "50%")
    exceeded = call("--only", "prompt=x,chair", "--fail-on", "49%")
    done = call("--only", "prompt=chair")

    assert [code for code, _ in (failed, allowed, exceeded, done)] == [1, 0, 1, 0]
    assert "the API rejected 3 cells" in failed[1]["next"]
    assert "--only prompt=x`; 5 other cells not done" in failed[1]["next"]
    assert done[1]["rejected"] == 3


@pytest.mark.slow
def test_a_status_that_no_cell_has_sends_nothing_and_is_said(call: Caller, url: str) -> None:
    before = created(url)

    code, report = call("--only", "status=failed")

    assert code == 0
    assert created(url) == before
    assert report["next"].startswith("no cell is selected; 8 other cells not done")
    assert "no cell has the status, the code or the mark that `--only` asks for" in call.said


@pytest.mark.slow
def test_by_status_what_was_asked_for_is_what_stood_so_at_the_start(call: Caller) -> None:
    call("--only", "prompt=x")
    code, report = call("--only", "status=pending", "--only", "seed=1,2")

    assert (code, report["succeeded"]) == (0, 4)
    assert report["next"].startswith("what was selected is done; 1 other cell not done")


COLUMNS = """\
models: [{id: google/nano-banana-2, alias: banana}, {id: openai/gpt-image-1.5, alias: gpt}]
rows: [{prompt: chair, code: "007", status: new}, {prompt: table, code: "008", status: old}]
"""


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("code=007", {"input.code": ("007",)}),
        ("input.code=007", {"input.code": ("007",)}),
        ("status=new", {"input.status": ("new",)}),
        ("input.prompt=chair", {"prompt": ("chair",)}),
        ("result.code=TIMEOUT", {"code": ("TIMEOUT",)}),
        ("result.failure_code=TIMEOUT", {"code": ("TIMEOUT",)}),
        ("failure_code=TIMEOUT", {"code": ("TIMEOUT",)}),
        ("result.status=failed", {"status": ("failed",)}),
        ("result.cell=f5", {"cell": ("f5",)}),
        ("result.model=gpt", {"model": ("gpt",)}),
        ("alias=gpt", {"alias": ("gpt",)}),
        ("result.alias=openai/gpt-image-1.5", {"alias": ("openai/gpt-image-1.5",)}),
    ],
)
def test_a_name_of_the_manifest_wins_over_a_word_of_the_results(
    manifest: Path, text: str, choice: dict[str, tuple[str, ...]]
) -> None:
    manifest.write_text(COLUMNS)

    assert parse_only(load_manifest(manifest, {}), [text]) == choice


@pytest.mark.parametrize(
    ("text", "cells"),
    [("code=007", 2), ("status=new,old", 4), ("alias=gpt", 2), ("input.code=008", 2)],
)
def test_cells_are_chosen_by_such_a_name(manifest: Path, text: str, cells: int) -> None:
    manifest.write_text(COLUMNS)
    loaded = load_manifest(manifest, {})
    only = parse_only(loaded, [text])

    check_found(only, expand(loaded))
    assert sum(selects(only, each) for each in expand(loaded)) == cells


def test_a_name_of_the_manifest_wins_over_a_mark(manifest: Path) -> None:
    manifest.write_text("models: [a/b]\ninputs: {pick: [one, two]}\n")
    loaded = load_manifest(manifest, {})

    assert parse_only(loaded, ["pick=one"]) == {"input.pick": ("one",)}
    assert parse_only(loaded, ["result.pick=true"]) == {"pick": ("true",)}


def test_without_such_a_name_the_short_word_is_that_of_the_results(manifest: Path) -> None:
    loaded = load_manifest(manifest, {})

    assert parse_only(loaded, ["code=X"]) == parse_only(loaded, ["result.code=X"])
    with pytest.raises(ValueError, match=r"unknown name `input\.code`"):
        parse_only(loaded, ["input.code=X"])


def test_a_missing_value_names_the_word_of_the_results(manifest: Path) -> None:
    manifest.write_text(COLUMNS)
    loaded = load_manifest(manifest, {})

    with pytest.raises(ValueError, match=r"`result\.code` what the results say"):
        check_found(parse_only(loaded, ["code=TIMEOUT"]), expand(loaded))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_results_of_ours_are_rows_of_another_manifest(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "m.yaml"
    text = "prompt,model,alias,cell,replicate,status\na chair,m/a,a,f5,1,failed\n"
    if suffix == "jsonl":
        names, values = (line.split(",") for line in text.splitlines())
        text = json.dumps(dict(zip(names, values, strict=True))) + "\n"
    (tmp_path / f"r.{suffix}").write_text(text)

    path.write_text(f"models: [a/b]\nrows: {{file: r.{suffix}, send: [prompt]}}\n")
    [cell] = expand(load_manifest(path, {}))
    assert cell.input == {"prompt": "a chair"}
    assert cell.values == {"prompt": "a chair", "status": "failed"}
    path.write_text(f"models: [a/b]\nrows: {{file: r.{suffix}, send: [prompt, model]}}\n")
    with pytest.raises(ManifestError, match=r"`model` is a word of batchrun's own.*`send` names"):
        load_manifest(path, {})
