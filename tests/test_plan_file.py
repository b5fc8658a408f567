"""A plan that was kept: a call does just that, or sends nothing."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_lines import SWEEP, finished, intent, submitted, text

from batchrun.cli import main
from batchrun.engine.price_list import PriceList
from batchrun.engine.prices import Prices
from batchrun.errors import UsageError
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.planning import plan_file
from batchrun.planning.to_do import KeySet, ToDo

MANIFEST = """\
name: chairs
endpoint: simulator
models: [{id: google/nano-banana-2, alias: banana, price: 0.10}]
inputs: {prompt: [one, two, three]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return path


def planned(manifest: Path, *words: str) -> Path:
    kept = manifest.with_name("plan.json")
    assert main(["plan", str(manifest), "-o", str(kept), *words]) == 0
    return kept


def refused(manifest: Path, kept: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([str(manifest), "--plan", str(kept), *words]) == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_what_was_planned_is_done_and_of_a_half_of_it_the_rest_is_no_plan(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = planned(manifest)
    assert capsys.readouterr().out.endswith(f"--plan {kept}` begins 3 cells\n")
    assert main([str(manifest), "--limit", "1", "--quiet"]) == 3

    assert "2 cells, not 3, would begin; nothing was sent" in refused(manifest, kept, capsys)
    assert main([str(manifest), "--plan", str(planned(manifest)), "--quiet"]) == 0
    assert main([str(manifest), "--plan", str(kept)]) == 0


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("three]", "four]", "are not what they were: other cells would begin; nothing was sent"),
        (", three]", "]", "are not what they were: 2 cells, not 3, would begin"),
        ("name: chairs", "name: stools", "it is of another sweep: its name is 'chairs'"),
        ("0.10", "0.11", "prices have changed since: 0.33 USD are expected, and at most 0.30 were"),
    ],
)
def test_a_plan_that_has_moved_is_refused(
    manifest: Path, before: str, after: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = planned(manifest)
    manifest.write_text(MANIFEST.replace(before, after))

    assert says in refused(manifest, kept, capsys)


def test_other_options_or_another_label_are_another_plan(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = planned(manifest, "--limit", "2")

    assert "3 cells, not 2, would begin" in refused(manifest, kept, capsys)
    assert "its label is None, not 'x'" in refused(
        manifest, kept, capsys, "--limit", "2", "--label", "x"
    )


def test_a_comment_and_a_cheaper_price_move_no_plan(manifest: Path) -> None:
    kept = plan_file.read(planned(manifest))
    manifest.write_text(f"# a comment\n{MANIFEST}".replace("0.10", "0.05"))
    to_do = ToDo(PriceList(Prices({"banana": Decimal("0.05")})), keys=KeySet())
    for cell in expand(load_manifest(manifest, {})):
        to_do.add(cell)

    kept.check(kept.subject, to_do)


def test_what_an_earlier_call_did_moves_the_plan(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = planned(manifest, "--endpoint", "http://127.0.0.1:9")
    first = next(expand(load_manifest(manifest, {})))
    folder = Path(json.loads(kept.read_text())["outputs"])
    folder.mkdir(parents=True)
    sweep = [SWEEP]
    (folder / "ledger.jsonl").write_bytes(
        text(sweep, [intent(first.key), submitted(first.key), finished(first.key)])
    )
    with pytest.raises(UsageError, match="2 cells, not 3, would begin"):
        plan_file.read(kept).check(plan_file.read(kept).subject, _to_do(manifest, without=first))


def _to_do(manifest: Path, *, without: Cell) -> ToDo:
    to_do = ToDo(PriceList(Prices({})), keys=KeySet())
    for cell in expand(load_manifest(manifest, {})):
        if cell.key != without.key:
            to_do.add(cell)
    return to_do


def plan_text(high: str) -> str:
    """Return a plan whose highest cost is *high*, as JSON."""
    subject = '"name": "chairs", "label": null, "endpoint": "simulator", "outputs": "x"'
    plan = f'"to_do": 1, "keys": "1-a", "cost": {{"high": {high}, "unknown": 0}}'
    return f'{{"batchrun_plan": 1, {subject}, "plan": {{{plan}}}}}'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read the plan"),
        ("", "is no plan: `batchrun plan MANIFEST -o FILE` makes one"),
        ("[1]", "is no plan"),
        ('{"batchrun_plan": 1}', "is no plan"),
        ('{"batchrun_plan": 2}', "is of another version of batchrun"),
        ('{"batchrun_plan": 1, "plan": {"cost": {"high": "x", "unknown": 0}}}', "is no plan"),
        (plan_text("[1]"), "is no plan"),
        (plan_text('"NaN"'), "is no plan"),
        ("[" * 100_000, "is no plan"),
        ("\\udcff\x00", "is no plan"),
    ],
)
def test_what_is_no_plan_is_said_and_nothing_is_sent(
    content: str | None, says: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = manifest.with_name("plan.json")
    if content is not None:
        kept.write_text(content)

    assert says in refused(manifest, kept, capsys)


def test_a_plan_that_cannot_be_written_is_said(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (manifest / "plan.json", manifest.parent, Path()):
        assert main(["plan", str(manifest), "-o", str(place)]) == 9
        assert "cannot write the plan" in capsys.readouterr().err


def test_a_set_of_keys_is_the_same_in_any_order_and_another_with_any_other_key() -> None:
    def digest(*keys: str) -> str:
        found = KeySet()
        for key in keys:
            found.add(key * 32)
        return found.digest

    assert digest("a", "b") == digest("b", "a")
    assert len({digest("a"), digest("b"), digest("a", "b"), digest("c")}) == 4
