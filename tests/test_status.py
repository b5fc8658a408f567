"""`batchrun status`: what it says of a ledger, without network and without the lock."""

import json
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from engine_world import World
from ledger_lines import SWEEP, finished, intent, submitted
from ledger_lines import text as text_of
from msgspec.structs import replace
from simulated import Runflow

from batchrun import cli
from batchrun.commands import status_report
from batchrun.commands.status import main
from batchrun.errors import LedgerError, ManifestError, UsageError
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import AnyRecord, Mark, Marks
from batchrun.manifest.cell_key import cell_key
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.results.starts import keep_start, start_of
from batchrun.results.waiting import Waiting
from batchrun.sweep.identity import Identity, write_identity


async def test_it_counts_by_the_manifest_and_groups_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = {0: "failed", 1: "cancelled"}
    world = World(tmp_path, Runflow(ending=lambda number: ending.get(number, "succeeded")))
    await world.call(attempts=1)

    assert main([str(world.folder)]) == 0

    shown = capsys.readouterr().out
    assert (
        "1 of 6 google-nano-banana-2: PROVIDER_ERROR: the simulator was asked to let this run fail"
        in shown
    )


async def test_open_runs_are_shown_with_their_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, Runflow(duration=lambda _: 1000.0))
    await world.call(max_duration=5.0)

    main([str(world.folder)])
    shown = capsys.readouterr().out
    main([str(world.folder), "--json"])

    assert all(run.id in shown for run in world.service.runs)
    assert json.loads(capsys.readouterr().out)["in_flight"] == 4


def test_a_folder_without_a_sweep_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no sweep in .*; name the folder of one"):
        main([str(tmp_path)])


def test_a_sweep_that_is_not_begun_is_begun_by_the_whole_command(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    place = ["--endpoint", "simulator", "--outputs", str(tmp_path / "out"), "--label", "a b"]

    with pytest.raises(UsageError, match="no sweep") as caught:
        main([str(tmp_path / "m.yaml"), *place])

    command = shlex.join(["batchrun", str(tmp_path / "m.yaml"), *place])
    assert str(caught.value).endswith(f"start it with `{command}`")


@pytest.mark.parametrize(
    ("folders", "label", "says"),
    [
        (["@mon", "@sun"], "tue", "/@tue; labels here: `mon`, `sun`"),
        (["@mon"], None, "/chairs; labels here: `mon`"),
        (["."], "tue", "/@tue; a sweep without a label is here"),
        ([".", "@mon"], "tue", "/@tue; labels here: `mon`; a sweep without a label is here"),
        (["../other"], "tue", "with `"),
    ],
)
def test_instead_of_a_label_that_has_no_sweep_the_others_are_named(
    folders: list[str], label: str | None, says: str, tmp_path: Path
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    for each in folders:
        sweep_at(tmp_path / "outputs/chairs" / each)
    words = [str(tmp_path / "m.yaml"), *([] if label is None else ["--label", label])]

    with pytest.raises(UsageError) as caught:
        main(words)

    assert says in str(caught.value)
    assert ("start it" in str(caught.value)) == (folders == ["../other"])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}\n{}\n")])
def test_a_lost_ledger_is_said_and_the_whole_command_that_rebuilds_it(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    manifest = str(tmp_path / "m.yaml")
    folder = sweep_at(tmp_path / "outputs/chairs/@a b", label="a b", manifest=manifest)
    damage(folder / "ledger.jsonl")

    for words in ([str(folder)], [manifest, "--label", "a b"]):
        with pytest.raises(LedgerError) as caught:
            main(words)
        command = shlex.join(["batchrun", "recover", manifest, "--label", "a b"])
        assert str(caught.value).endswith(f"or rebuild it with `{command}`")


def test_after_a_lost_ledger_the_last_line_does_not_say_that_status_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep_at(tmp_path / "chairs")
    (folder / "ledger.jsonl").unlink()

    assert cli.main(["status", str(folder)]) == 9

    last = capsys.readouterr().err.splitlines()[-1]
    assert "`batchrun status" not in last
    assert "; restore its newest copy, or rebuild it with `batchrun recover MANIFEST" in last


def sweep_at(folder: Path, **identity: str | None) -> Path:
    """Make the folder of a sweep: one cell done, thirty in flight, two in doubt."""
    folder.mkdir(parents=True)
    flying: list[list[AnyRecord]] = [
        [intent(f"f{number:02}"), submitted(f"f{number:02}")] for number in range(30)
    ]
    lines: list[AnyRecord] = [intent("d1"), submitted("d1"), finished("d1")]
    doubtful: list[AnyRecord] = [intent("x1"), intent("x2")]
    (folder / "ledger.jsonl").write_bytes(text_of([SWEEP], lines, *flying, doubtful))
    given: dict[str, str | None] = {"name": "chairs", "endpoint": "https://api.runflow.io"}
    write_identity(folder, Identity(sweep="k3f9", **(given | identity)))  # type: ignore[arg-type]  # by name
    return folder


def test_at_most_twenty_open_runs_are_shown_the_oldest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(sweep_at(tmp_path / "chairs"))])
    shown = capsys.readouterr().out.splitlines()

    runs = [line.split()[0] for line in shown if line.startswith(("  f", "  x"))]
    assert runs == [f"f{number:02}" for number in range(20)]
    assert "  and 12 more" in shown


def test_cells_that_the_manifest_names_no_more_are_not_among_its_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    [cell] = expand(load_manifest(tmp_path / "m.yaml", {}))
    folder = tmp_path / "outputs" / "chairs"
    folder.mkdir(parents=True)
    lines: list[list[AnyRecord]] = [
        [intent(key), submitted(key), finished(key, status="cancelled", failure_message=why)]
        for key, why in (("orphan", "long ago"), (cell.key, "just now"))
    ]
    (folder / "ledger.jsonl").write_bytes(text_of([SWEEP], *lines))

    main([str(tmp_path / "m.yaml")])
    shown = capsys.readouterr().out

    assert "1 of 1 a-b: cancelled: just now" in shown
    assert "long ago" not in shown


def test_without_its_manifest_a_folder_is_counted_by_its_ledger_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep_at(tmp_path / "chairs", manifest=str(tmp_path / "gone.yaml"))

    assert main([str(folder)]) == 0
    assert "the manifest is gone: these are the ledger's cells alone" in capsys.readouterr().out
    assert main([str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["succeeded"], found["in_flight"], found["in_doubt"]) == (
        *(33, 1, 30),
        2,
    )
    assert (found["complete"], found["exit_code"], found["cost"]) == (False, 0, "0.04")


def test_a_process_that_holds_the_ledger_does_not_hold_it_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep_at(tmp_path / "chairs")
    with open_ledger(folder):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}

        assert main([str(folder)]) == 0
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


MANIFEST = "name: chairs\nmodels: [a/b]\ninputs: {prompt: x}\n"


@pytest.mark.parametrize(
    ("place", "identity"),
    [
        ("outputs/chairs", {}),
        ("outputs/chairs/@night", {"label": "night"}),
        ("outputs/@simulator/chairs", {"endpoint": "simulator"}),
        ("elsewhere/chairs", {}),
        (
            "elsewhere/@127.0.0.1-8000/chairs/@a b",
            {"endpoint": "http://127.0.0.1:8000", "label": "a b"},
        ),
    ],
)
def test_the_command_to_go_on_with_finds_the_same_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, identity: dict[str, str]
) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST)
    folder = sweep_at(tmp_path / place, manifest=str(manifest), **identity)
    main([str(folder), "--json"])
    command = json.loads(capsys.readouterr().out)["next"].split("`")[1]

    name, *words = shlex.split(command)
    main([*words, "--json"])
    assert name == "batchrun"
    assert json.loads(capsys.readouterr().out)["outputs"] == str(folder)


def test_a_manifest_that_is_wrong_is_said_as_ever(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("models: 7\n")

    with pytest.raises(ManifestError, match=r"m\.yaml:1:9"):
        main([str(tmp_path / "m.yaml")])


def test_a_broken_ledger_is_said_with_line_and_byte(tmp_path: Path) -> None:
    folder = sweep_at(tmp_path / "chairs")
    data = (folder / "ledger.jsonl").read_bytes()
    (folder / "ledger.jsonl").write_bytes(b"{}\n" + data)

    with pytest.raises(LedgerError, match="line 1, byte 0"):
        main([str(folder)])


async def test_a_budget_that_is_used_up_is_to_be_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, Runflow())
    await world.call(budget=Decimal("0.20"))

    main([str(world.folder)])

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("raise its budget of 0.20 USD, of which 0.16 are spent: `batchrun ")
    assert " --budget …`; " in last


async def test_the_budget_of_the_last_call_is_in_the_command_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_report, "waiting_of", lambda *_: Waiting())
    world = World(tmp_path, Runflow())
    await world.call(budget=Decimal("0.20"))

    main([str(world.folder)])
    of_its_own = capsys.readouterr().out.splitlines()[-1]
    world.text = world.text.replace("limits: {", "limits: {budget: 0.20, ")
    world.manifest()
    main([str(world.folder)])
    of_the_manifest = capsys.readouterr().out.splitlines()[-1]

    assert " --budget 0.20`; " in of_its_own
    assert "of its budget of 0.20 USD 0.16 are spent" in of_its_own
    assert "--budget" not in of_the_manifest


GRID = """\
name: chairs
models: [{id: a/b, alias: seedance}]
inputs: {prompt: x, duration: [5, 10], seed: {$range: [1, 4]}}
"""


def grid_at(tmp_path: Path, *, text: str = GRID, extra: Sequence[AnyRecord] = ()) -> Path:
    """Make a sweep whose cells of ten seconds have failed, and return its manifest."""
    path = tmp_path / "m.yaml"
    path.write_text(text)
    manifest = load_manifest(path, {})
    folder = tmp_path / "outputs" / "chairs"
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[list[AnyRecord]] = []
    for cell in expand(manifest):
        fails = cell.input["duration"] == 10
        status: dict[str, str] = (
            {"status": "failed", "failure_code": "TIMEOUT", "failure_message": "too long"}
            if fails
            else {}
        )
        sent = intent(cell.key, alias=cell.alias, input=cell.input)
        lines.append([sent, submitted(cell.key), finished(cell.key, **status)])  # type: ignore[arg-type]  # by name
    sweep = replace(SWEEP, label=None)
    (folder / "ledger.jsonl").write_bytes(text_of([sweep], *lines, list(extra)))
    write_identity(
        folder,
        Identity(sweep=sweep.sweep, name="chairs", endpoint=sweep.endpoint, manifest=str(path)),
    )
    keep_start(folder, start_of(manifest))
    return path


def test_failures_name_the_values_that_they_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = grid_at(tmp_path, text=f"{GRID}limits: {{attempts: 1}}\n")

    main([str(path)])
    shown = capsys.readouterr().out
    main([str(path), "--json"])

    assert (
        "\n4 of 8 seedance: TIMEOUT: too long\n    4 of 4: model seedance, duration 10\n" in shown
    )
    [failure] = json.loads(capsys.readouterr().out)["failures"]
    cells = failure.pop("cells")
    assert f"`batchrun why {path.parent / 'outputs' / 'chairs'} {cells[0][:12]}`" in shown
    assert len(set(cells)) == 4
    assert [failure] == [
        {
            "alias": "seedance",
            "code": "TIMEOUT",
            "message": "too long",
            "count": 4,
            "of": 8,
            "moderated": False,
            "shared": {"values": {"duration": 10}, "failed": 4, "cells": 4},
        }
    ]


def test_without_a_manifest_they_are_the_values_that_were_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = grid_at(tmp_path)
    path.unlink()
    folder = tmp_path / "outputs" / "chairs"
    for start in (folder / "starts").iterdir():
        start.unlink()

    main([str(folder), "--json"])

    [failure] = json.loads(capsys.readouterr().out)["failures"]
    assert failure["shared"] == {"values": {"duration": 10}, "failed": 4, "cells": 4}


def test_a_folder_is_judged_by_the_manifest_it_was_started_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = grid_at(tmp_path)
    folder = tmp_path / "outputs" / "chairs"
    path.write_text(GRID.replace("[5, 10]", "[5, 10, 15]"))

    main([str(folder)])
    shown = capsys.readouterr().out
    main([str(folder), "--json"])
    by_folder = json.loads(capsys.readouterr().out)
    main([str(path), "--json"])
    by_manifest = json.loads(capsys.readouterr().out)

    assert "was edited since the last start: this is by the manifest of that start" in shown
    assert (by_folder["cells"], by_manifest["cells"]) == (8, 12)

    path.write_text("models: 7\n")
    assert main([str(folder)]) == 0  # what is wrong with it by now is no matter
    path.unlink()
    assert main([str(folder)]) == 0
    assert "is gone since the last start" in capsys.readouterr().out


def test_cells_of_a_redo_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = grid_at(tmp_path)
    first = next(iter(expand(load_manifest(path, {}))))
    made = cell_key(first.model, first.input, 2)
    mark = Mark(id="m1", cell=first.key, first=first.key, replicate=2, makes=made)
    grid_at(tmp_path, extra=[Marks(marks=(mark,))])

    main([str(path)])
    assert "\n1 cell from `redo`\n" in capsys.readouterr().out
    main([str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["remade"], found["cells"]) == (1, 9)


def test_it_says_what_the_sweep_waits_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep_at(tmp_path / "chairs")

    main([str(folder)])
    shown = capsys.readouterr().out
    main([str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)

    assert "\nwaiting for 30 runs, the oldest for " in shown
    assert "; a look-up of 2 sends in doubt" in shown
    assert found["waiting"]["runs"] == 30
    assert found["waiting"]["holder"] is None
    assert len(found["open"]) == 32
    assert found["open"][0]["run_id"] == "run-f00-1"


def test_a_process_that_holds_the_ledger_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep_at(tmp_path / "chairs")

    with open_ledger(folder):
        main([str(folder)])

    assert "waiting for another process, which holds the ledger: pid " in capsys.readouterr().out
