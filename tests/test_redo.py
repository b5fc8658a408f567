"""Cells that are made again: once for each mark, for the cells that were chosen, and no others."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from called import ask, created
from ledger_lines import SWEEP, finished, intent, submitted, text
from msgspec.structs import replace
from processes import environment, simulator, start, wait_for_runs

from batchrun.cli import main
from batchrun.ledger.records import AnyRecord, Intent, Mark, Marks, Submitted, decode, encode
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand, points, upper_bound
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

MANIFEST: Final = """\
name: chairs
models:
  - {id: google/nano-banana-2, alias: banana}
  - {id: google/nano-banana-pro, alias: pro}
inputs: {prompt: [one, two, three]}
limits: {settle: 300ms, rate: 1000/s}
poll: {interval: 50ms}
outputs: {download: false}
"""


class Project:
    """A manifest, and the command on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], endpoint: str) -> None:
        self.manifest = folder / "m.yaml"
        self.manifest.write_text(MANIFEST)
        self.endpoint = endpoint
        self._capsys = capsys

    @property
    def ledger(self) -> Path:
        [ledger] = self.manifest.parent.rglob("ledger.jsonl")
        return ledger

    def batchrun(self, *words: str) -> tuple[int, Any, str]:
        """Return the exit code, the object, and what was said."""
        before = words[:1] if words[:1] in {("redo",), ("plan",), ("status",), ("recover",)} else ()
        rest = words[len(before) :]
        where = ("--endpoint", self.endpoint, "--json")
        code = main([*before, str(self.manifest), *rest, *where])
        shown = self._capsys.readouterr()
        [line] = shown.out.splitlines()
        return code, json.loads(line), shown.err

    def redo(self, *words: str) -> tuple[int, Any, str]:
        return self.batchrun("redo", *words)

    def chosen(self, *only: str) -> Any:
        """Return what a redo of these would make; nothing is written."""
        before = self.ledger.read_bytes()
        words = [word for each in only for word in ("--only", each)]
        code, found, _ = self.redo(*words, "--dry-run")
        assert code == 0
        assert self.ledger.read_bytes() == before
        return found["redo"]

    def records(self) -> list[AnyRecord]:
        lines = self.ledger.read_bytes().splitlines(keepends=True)
        return [record for line in lines if (record := decode(line)) is not None]

    def marks(self) -> list[Mark]:
        return [mark for line in self.records() if isinstance(line, Marks) for mark in line.marks]

    def rows(self) -> list[Any]:
        text = (self.ledger.parent / "results.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def append(self, *records: AnyRecord) -> None:
        with self.ledger.open("ab") as file:
            file.write(b"".join(map(encode, records)))

    def cells(self, **redone: Any) -> list[Cell]:
        return list(expand(replace(load_manifest(self.manifest, {}), **redone)))


# Which cells, and which numbers: by the ledger alone.


@pytest.fixture
def done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """A sweep of which each cell has succeeded; nothing listens at its endpoint."""
    project = Project(tmp_path, capsys, "http://127.0.0.1:9")
    write(project)
    return project


def write(project: Project, *more: AnyRecord, repeat: int = 1) -> None:
    """Write the ledger of a sweep whose cells, *repeat* of each, have all succeeded."""
    text_now = project.manifest.read_text()
    project.manifest.write_text(f"{text_now}repeat: {repeat}\n")
    folder = project.manifest.parent / "outputs" / "@127.0.0.1-9" / "chairs"
    folder.mkdir(parents=True, exist_ok=True)
    records: list[AnyRecord] = []
    for key in dict.fromkeys(cell.key for cell in project.cells()):
        records += done_lines(key)
    project.manifest.write_text(text_now)
    sweep = replace(SWEEP, endpoint=project.endpoint, label=None)
    (folder / "ledger.jsonl").write_bytes(text([sweep], records, *([more] if more else [])))


def done_lines(key: str) -> list[AnyRecord]:
    return [intent(key), submitted(key), finished(key, cost=Decimal("0.04"))]


def key_of(project: Project, prompt: str, alias: str = "banana", replicate: int = 1) -> str:
    """Return the key of a cell whose replicate the manifest may not name."""
    for point in points(load_manifest(project.manifest, {})):
        first = point.first
        if (first.values["prompt"], first.alias) == (prompt, alias):
            cell = first if replicate == 1 else point.beyond(replicate)
            assert cell is not None
            return cell.key
    raise AssertionError(prompt)


def mark(project: Project, prompt: str, replicate: int, *, of: int = 1) -> Mark:
    first = key_of(project, prompt)
    return Mark(
        id=f"mark-{prompt}-{replicate}",
        cell=key_of(project, prompt, replicate=of),
        first=first,
        replicate=replicate,
        makes=key_of(project, prompt, replicate=replicate),
    )


def test_a_chosen_cell_gets_the_next_replicate(done: Project) -> None:
    found = done.chosen("prompt=two", "model=banana")

    assert found["cells"] == [key_of(done, "two", replicate=2)]
    assert found["open"] is False


def test_each_chosen_cell_gets_one(done: Project) -> None:
    found = done.chosen("prompt=one,three")

    expected = {key_of(done, p, alias, 2) for p in ("one", "three") for alias in ("banana", "pro")}
    assert set(found["cells"]) == expected
    assert len(found["cells"]) == 4


def test_what_has_not_ended_is_left_out_and_counted(done: Project) -> None:
    done.manifest.write_text(MANIFEST.replace("three]", "three, four]"))

    found = done.chosen("model=banana")

    assert len(found["cells"]) == 3
    assert found["unended"] == 1


def test_a_cell_that_failed_is_made_again_too(done: Project) -> None:
    key = key_of(done, "one")
    lines: list[AnyRecord] = [intent(key), submitted(key), finished(key, status="cancelled")]
    sweep = replace(SWEEP, endpoint=done.endpoint, label=None)
    done.ledger.write_bytes(text([sweep], lines))

    assert done.chosen("status=cancelled")["cells"] == [key_of(done, "one", replicate=2)]


def test_of_two_replicates_each_gets_a_number_of_its_own(done: Project) -> None:
    write(done, repeat=2)
    done.manifest.write_text(f"{MANIFEST}repeat: 2\n")

    found = done.chosen("prompt=one", "model=banana")

    assert found["cells"] == [key_of(done, "one", replicate=n) for n in (3, 4)]


def test_what_a_larger_repeat_has_paid_once_is_not_taken_for_new(done: Project) -> None:
    write(done, repeat=4)

    found = done.chosen("prompt=one", "model=banana")

    assert found["cells"] == [key_of(done, "one", replicate=5)]


def test_a_number_between_two_that_are_known_is_not_used(done: Project) -> None:
    write(done, *done_lines(key_of(done, "one", replicate=4)))

    assert done.chosen("prompt=one", "model=banana")["cells"] == [key_of(done, "one", replicate=5)]


def test_the_second_time_it_is_the_newest_replicate_that_is_made_again(done: Project) -> None:
    made = mark(done, "one", 2)
    write(done, Marks(marks=(made,)), *done_lines(made.makes))

    assert done.chosen("prompt=one", "model=banana")["cells"] == [key_of(done, "one", replicate=3)]


def test_a_cell_that_was_made_again_is_chosen_by_its_key(done: Project) -> None:
    made = mark(done, "one", 2)
    write(done, Marks(marks=(made,)), *done_lines(made.makes))

    for key in (made.cell, made.makes):
        assert done.chosen(f"cell={key}")["cells"] == [key_of(done, "one", replicate=3)]


def test_an_open_mark_is_finished_and_no_second_one_is_made(done: Project) -> None:
    made = mark(done, "one", 2)
    write(done, Marks(marks=(made,)))

    for only in ("prompt=one", f"cell={made.cell}", f"cell={made.makes}"):
        found = done.chosen(only, "model=banana")
        assert (found["cells"], found["open"]) == ([made.makes], True)
    assert done.chosen("prompt=two", "model=banana")["open"] is False


def test_limit_takes_the_first_of_them(done: Project) -> None:
    _, found, _ = done.redo("--only", "model=banana", "--limit", "2", "--dry-run")

    assert found["redo"]["cells"] == [key_of(done, p, replicate=2) for p in ("one", "two")]
    assert found["redo"]["left"] == 1


def test_it_costs_what_it_is_said_to_cost(
    done: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["redo", str(done.manifest), "--endpoint", done.endpoint, "--only", "model=banana"]
    assert main([*words, "--budget", "0.25", "--dry-run"]) == 0

    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == "3 cells to make again, about 0.12 USD"
    assert "the budget of 0.25 USD covers none of 3 cells; 0.24 USD are spent" in shown
    assert shown[-1].startswith("nothing was sent; `batchrun redo ")


def test_failed_runs_which_are_free_make_it_no_cheaper(done: Project) -> None:
    keys = [key_of(done, prompt) for prompt in ("one", "two")]
    lines: list[AnyRecord] = []
    for key in keys:
        lines += [intent(key), submitted(key), finished(key, status="failed", cost=Decimal(0))]
        lines += [intent(key, 2), submitted(key, 2), finished(key, 2, cost=Decimal("0.04"))]
    sweep = replace(SWEEP, endpoint=done.endpoint, label=None)
    done.ledger.write_bytes(text([sweep], lines))

    assert done.chosen("model=banana")["cost"] == "0.08"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "needs `--only NAME=V[,V]`"),
        (["--only", "prompt=four"], "no cell has this value"),
        (["--only", "prompt=one"], "say so with `--yes`"),
    ],
)
def test_what_can_not_be_asked_for_sends_nothing(
    done: Project, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    monkeypatch.setattr("sys.stdin", StringIO())
    before = done.ledger.read_bytes()

    code, found, _ = done.redo(*words)

    assert code == 2
    assert says in found["error"]["message"]
    assert done.ledger.read_bytes() == before


def test_before_there_is_a_sweep_there_is_nothing_to_redo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, _ = Project(tmp_path, capsys, "http://127.0.0.1:9").redo("--only", "prompt=one")

    assert code == 2
    assert "there is no sweep in" in found["error"]["message"]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "code"), [("n\n", 2), ("\n", 2), ("", 2), ("y\n", 8), ("YES\n", 8)]
)
def test_a_terminal_is_asked_first(
    done: Project, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """With yes it goes on to the service, of which there is none here."""
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_test")
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    found, _, said = done.redo("--only", "prompt=one", "--give-up", "100ms")

    assert found == code
    assert "make them again, and pay for them? [y/N] " in said
    assert bool(done.marks()) == (code == 8)


# What a mark makes is a cell of the manifest.


def redone(path: Path, text: str, numbers: dict[int, list[int]]) -> tuple[Manifest, list[Cell]]:
    """Return a manifest with marks for its points, by their places, and its cells."""
    path.write_text(text)
    plain = load_manifest(path, {})
    made: dict[str, dict[str, int]] = {}
    for at, point in enumerate(points(plain)):
        cells = [(point.beyond(number), number) for number in numbers.get(at, [])]
        made.setdefault(
            point.first.key, {cell.key: number for cell, number in cells if cell is not None}
        )
    manifest = replace(plain, redone=made)
    return manifest, list(expand(manifest))


def test_it_stands_behind_the_replicates_of_its_point_as_repeat_would_have_it(
    tmp_path: Path,
) -> None:
    text = "models: [a/b]\ninputs: {prompt: [x, y]}\nrepeat: 2\n"
    manifest, cells = redone(tmp_path / "m.yaml", text, {0: [3, 4]})

    shown = [(cell.values["prompt"], cell.replicate) for cell in cells]
    assert shown == [("x", 1), ("x", 2), ("x", 3), ("x", 4), ("y", 1), ("y", 2)]
    assert len(cells) == upper_bound(manifest)
    more = load_manifest(tmp_path / "m.yaml", {})
    (tmp_path / "m.yaml").write_text(text.replace("repeat: 2", "repeat: 4"))
    more = load_manifest(tmp_path / "m.yaml", {})
    assert {cell.key for cell in cells} < {cell.key for cell in expand(more)}


def test_a_template_with_the_replicate_has_its_number(tmp_path: Path) -> None:
    text = (
        "models: [a/b]\n"
        "inputs:\n"
        '  prompt: ["take ${replicate}", x]\n'
        '  seed: "${replicate}"\n'
        '  size: "${s}-${replicate}"\n'
        "vars: {s: [1, 2]}\n"
    )
    _, cells = redone(tmp_path / "m.yaml", text, {0: [5]})
    (tmp_path / "m.yaml").write_text(text + "repeat: 5\n")
    named = {cell.key: cell for cell in expand(load_manifest(tmp_path / "m.yaml", {}))}

    [made] = [cell for cell in cells if cell.redo_of is not None]
    assert made.input == {"prompt": "take 5", "seed": 5, "size": "1-5"}
    assert named[made.key].input == made.input
    assert made.redo_of == cells[0].key


def test_without_its_point_it_is_gone_and_with_a_larger_repeat_it_is_one_cell(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.yaml"
    manifest, _ = redone(path, "models: [a/b]\ninputs: {prompt: [x, y]}\n", {0: [2]})
    marks = manifest.redone
    path.write_text("models: [a/b]\ninputs: {prompt: [y]}\n")
    without = list(expand(replace(load_manifest(path, {}), redone=marks)))
    path.write_text("models: [a/b]\ninputs: {prompt: [x, y]}\nrepeat: 2\n")
    larger = list(expand(replace(load_manifest(path, {}), redone=marks)))

    assert [cell.redo_of for cell in without] == [None]
    assert len({cell.key for cell in larger}) == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('seed: "${replicate}"', "seed: 1"),
        ('prompt: ["take ${replicate}", "take 1"]', 'prompt: "take 1"'),
    ],
)
def test_a_mark_makes_no_other_cell_than_the_one_it_was_written_for(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "m.yaml"
    manifest, cells = redone(path, f"models: [a/b]\ninputs:\n  {before}\n", {0: [2]})
    path.write_text(f"models: [a/b]\ninputs:\n  {after}\n")
    edited = list(expand(replace(load_manifest(path, {}), redone=manifest.redone)))

    assert len([cell for cell in cells if cell.redo_of is not None]) == 1
    assert [cell.redo_of for cell in edited] == [None]


def test_a_marked_replicate_whose_value_is_gone_is_no_cell_any_more(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    text = 'models: [{id: a/b, map: {seed: {1: 10, 2: 20}}}]\ninputs: {seed: "${replicate}"}\n'
    manifest, cells = redone(path, text, {0: [2]})
    path.write_text(text.replace(", 2: 20", ""))
    edited = list(expand(replace(load_manifest(path, {}), redone=manifest.redone)))

    assert [cell.replicate for cell in cells] == [1, 2]
    assert [cell.replicate for cell in edited] == [1]


def test_a_point_needs_the_value_of_its_next_number_alone(done: Project) -> None:
    done.manifest.write_text(
        MANIFEST.replace("alias: banana", "map: {seed: {1: 10, 2: 20}}, alias: banana").replace(
            "three]", 'three], seed: "${replicate}"'
        )
    )
    write(done)

    assert len(done.chosen("prompt=one", "model=banana")["cells"]) == 1


def test_more_replicates_than_are_probed_at_once_are_all_known(done: Project) -> None:
    write(done, repeat=30)

    assert done.chosen("prompt=one", "model=banana")["cells"] == [key_of(done, "one", replicate=31)]


def test_a_mark_whose_cell_was_edited_away_is_no_open_one(done: Project) -> None:
    made = mark(done, "one", 2)
    write(done, Marks(marks=(replace(made, makes="0" * 64),)))

    found = done.chosen("prompt=one", "model=banana")

    assert (found["cells"], found["open"]) == ([made.makes], False)


def test_status_plan_and_why_count_what_is_still_to_be_made(
    done: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    write(done, Marks(marks=(mark(done, "one", 2),)))

    for command in ("status", "plan"):
        _, found, _ = done.batchrun(command)
        assert (found["cells"], found["succeeded"], found["pending"]) == (7, 6, 1)
        assert found["orphaned"] == 0


def test_why_knows_a_cell_that_is_only_marked(
    done: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mark(done, "one", 2)
    write(done, Marks(marks=(made,)))
    where = ("--endpoint", done.endpoint)

    assert main(["why", str(done.manifest), made.makes[:10], *where]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    of = made.cell[:12]
    assert first == f"{made.makes}  to be made as replicate 2 of cell {of}: pending"
    assert last.endswith("begins attempt 1 of 2")


def test_why_says_that_the_next_call_makes_it(
    done: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mark(done, "one", 2)
    write(
        done,
        Marks(marks=(made,)),
        intent(made.makes),
        submitted(made.makes),
        finished(made.makes, status="failed"),
    )
    where = ("--endpoint", done.endpoint)

    assert main(["why", str(done.manifest), made.makes, *where]) == 0
    assert "begins attempt 2 of 2" in capsys.readouterr().out


def test_why_names_the_command_that_makes_a_done_cell_again(
    done: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file is not downloaded in this sweep: nothing else is left to do."""
    key = key_of(done, "one")
    assert main(["why", str(done.manifest), key, "--endpoint", done.endpoint]) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    redo = f"batchrun redo {done.manifest} --endpoint {done.endpoint} --only cell={key[:12]}"
    assert last.startswith("nothing is left to do for this cell; ")
    assert f"`{redo}` makes it again" in last


# Against a service.


@pytest.fixture(params=["none", "all"])
def project(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    """A sweep that is done at a service whose models take batches, or don't."""
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    with embedded(None, settings=Settings(seed=3, speed=200, batches=request.param)) as url:
        found = Project(tmp_path, capsys, url)
        assert found.batchrun()[0] == 0
        yield found


def runs(project: Project) -> Counter[str]:
    """Return how many runs each cell has, by the ledger; the service has as many."""
    cells = Counter(line.cell for line in project.records() if isinstance(line, Submitted))
    assert len(ask(project.endpoint, "/_simulator/runs")) == cells.total()
    return cells


@pytest.mark.slow
def test_just_the_chosen_cells_are_paid_for_and_belong_to_the_sweep(project: Project) -> None:
    code, found, said = project.redo("--only", "prompt=two", "--yes")

    assert code == 0
    assert "2 cells to make again, about" in said
    assert (found["cells"], found["succeeded"]) == (8, 8)
    assert runs(project).total() == 8
    assert set(runs(project).values()) == {1}
    lines = [type(line) for line in project.records()]
    last = len(lines) - 1 - lines[::-1].index(Marks)
    assert Intent in lines[last:]
    assert len(project.marks()) == 2
    replicates = Counter((row["prompt"], row["replicate"]) for row in project.rows())
    assert replicates["two", 2] == 2
    again, last_call, _ = project.batchrun()
    assert (again, last_call["cells"], last_call["complete"]) == (0, 8, True)
    assert runs(project).total() == 8
    assert sum(Decimal(row["cost"]) for row in project.rows()) == Decimal(last_call["cost"])


@pytest.mark.slow
def test_a_redo_that_was_killed_behind_its_marks_is_finished_by_the_next_call(
    project: Project,
) -> None:
    project.append(Marks(marks=(mark(project, "one", 2),)))
    made = created(project.endpoint)

    code, found, _ = project.batchrun()

    assert (code, found["cells"], found["succeeded"]) == (0, 7, 7)
    assert created(project.endpoint) == made + 1
    assert project.batchrun()[0] == 0
    assert created(project.endpoint) == made + 1


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 3])
def test_killed_at_any_moment_each_cell_is_paid_once(
    tmp_path: Path, after: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that is killed once it has made *after* runs, or as many as it can by then."""
    with simulator(tmp_path / "s.sqlite", "--speed", "50") as url:
        project = Project(tmp_path, capsys, url)
        with patch.dict(os.environ, environment()):
            assert project.batchrun()[0] == 0
            made = created(url)
            words = ("redo", "m.yaml", "--endpoint", url, "--only", "model=banana,pro", "--yes")
            with start(*words, cwd=tmp_path) as process:
                wait_for_runs(url, 6 + after)
                process.kill()
            code, found, _ = project.batchrun()
            marks = len(project.marks())

        assert (code, found["succeeded"], found["cells"]) == (0, 6 + marks, 6 + marks)
        assert marks in ({0, 6} if after == 0 else {6})
        assert created(url) == made + marks
        assert set(runs(project).values()) == {1}


@pytest.mark.slow
def test_called_again_it_finishes_what_is_open_and_pays_once(project: Project) -> None:
    project.append(Marks(marks=(mark(project, "one", 2),)))

    code, found, said = project.redo("--only", "prompt=one", "--yes")

    assert "1 cell of an earlier redo of these cells is open, and finished first" in said
    assert (code, found["cells"], len(project.marks())) == (0, 7, 1)
    assert runs(project).total() == 7


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["folder", "ledger"])
def test_a_lost_ledger_is_rebuilt_with_what_was_made_again(project: Project, lost: str) -> None:
    project.redo("--only", "prompt=two", "--yes")
    project.redo("--only", "prompt=two", "--only", "model=pro", "--yes")
    folder = project.ledger.parent
    if lost == "folder":
        shutil.rmtree(folder)
    else:
        project.ledger.unlink()
    code, found, _ = project.batchrun("recover")
    made = created(project.endpoint)
    again, after, _ = project.batchrun()

    assert (code, found["cells"], found["succeeded"], found["orphaned"]) == (0, 9, 9, 0)
    assert (again, after["cells"], after["orphaned"]) == (0, 9, 0)
    assert created(project.endpoint) == made
    assert sorted(each.replicate for each in project.marks()) == [2, 2, 3]
    assert project.chosen("prompt=two", "model=banana")["cells"] != []
    assert project.redo("--only", "prompt=two", "--yes")[1]["cells"] > 9


@pytest.mark.slow
def test_with_a_budget_that_is_used_up_nothing_more_is_sent(project: Project) -> None:
    made = created(project.endpoint)

    code, _, said = project.redo("--only", "prompt=two", "--yes", "--budget", "0.01")

    assert code == 6
    assert "no cell was marked to be made again" in said
    assert created(project.endpoint) == made
    assert project.batchrun("--budget", "100")[1]["succeeded"] == 6


@pytest.mark.slow
def test_the_same_redo_with_a_limit_comes_to_each_chosen_cell(project: Project) -> None:
    words = ("--only", "model=banana", "--yes", "--limit", "1")
    codes, said = [], []
    for _ in range(3):
        code, _, err = project.redo(*words)
        codes.append(code)
        said.append(err)

    assert codes == [3, 3, 0]
    assert "`--limit 1` leaves 2 chosen cells to a later call" in said[0]
    assert sorted(mark.replicate for mark in project.marks()) == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True])
def test_recover_expands_no_point_but_the_one_that_was_made_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    old: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    """Of the other model the number has no value; *old* tags say the number alone."""
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    if old:
        monkeypatch.setattr(
            "batchrun.engine.run_tag.written", lambda redo: [each.number for each in redo]
        )
    with embedded(None, settings=Settings(seed=3, speed=200, batches="none")) as url:
        project = Project(tmp_path, capsys, url)
        project.manifest.write_text(
            MANIFEST.replace("alias: banana", "alias: banana, map: {seed: {1: 10}}").replace(
                "[one, two, three]", 'one, seed: "${replicate}"'
            )
        )
        assert project.batchrun()[0] == 0
        assert project.redo("--only", "model=pro", "--yes")[0] == 0
        before = [each.makes for each in project.marks()]
        project.ledger.unlink()

        code, found, _ = project.batchrun("recover")

        assert (code, found["cells"], found["succeeded"]) == (0, 3, 3)
        assert [each.makes for each in project.marks()] == before


# Redo marks of the page: each makes one replicate, ever.


def wish(project: Project, prompt: str, number: int, *, replicate: int = 1, **rest: Any) -> None:
    """Take in a mark of the page."""
    mark = {
        "id": f"page-{number}",
        "sweep": json.loads(project.ledger.read_text().splitlines()[0])["sweep"],
        "cell": key_of(project, prompt, replicate=replicate),
        "kind": "redo",
        "note": "",
        "at": f"2026-11-29T03:00:0{number}Z",
    }
    with (project.ledger.parent / "picks.jsonl").open("a") as file:
        file.write(json.dumps(mark | rest) + "\n")


def granted(project: Project, prompt: str, number: int, replicate: int) -> list[AnyRecord]:
    """Return the lines of a mark of the page that has made its replicate."""
    made = replace(mark(project, prompt, replicate), id=f"page-{number}")
    return [Marks(marks=(made,)), *done_lines(made.makes)]


def test_a_marked_cell_is_made_again_once(done: Project) -> None:
    wish(done, "two", 1)
    wish(done, "three", 2)

    assert done.chosen("redo=true")["cells"] == [
        key_of(done, "two", replicate=2),
        key_of(done, "three", replicate=2),
    ]
    done.append(*granted(done, "two", 1, 2))
    found = done.chosen("redo=true")
    assert found["cells"] == [key_of(done, "three", replicate=2)]
    assert found["granted"] == 1


def test_a_newer_mark_of_the_same_cell_makes_one_more(done: Project) -> None:
    wish(done, "two", 1)
    done.append(*granted(done, "two", 1, 2))
    wish(done, "two", 2)

    assert done.chosen("redo=true")["cells"] == [key_of(done, "two", replicate=3)]


def test_a_replicate_that_a_mark_made_can_be_marked(done: Project) -> None:
    wish(done, "two", 1)
    done.append(*granted(done, "two", 1, 2))
    wish(done, "two", 2, replicate=2)

    found = done.chosen("redo=true")
    assert found["cells"] == [key_of(done, "two", replicate=3)]
    assert found["granted"] == 1


def test_a_mark_that_is_taken_away_makes_nothing(done: Project) -> None:
    wish(done, "two", 1)
    wish(done, "two", 2, off=True)

    code, found, _ = done.redo("--only", "redo=true", "--dry-run")

    assert code == 2
    assert "no cell has that mark; `batchrun picks` takes in" in found["error"]["message"]


def test_a_mark_whose_replicate_is_open_makes_no_further_one(done: Project) -> None:
    wish(done, "two", 1)
    done.append(granted(done, "two", 1, 2)[0])

    found = done.chosen("redo=true")

    assert found["open"]
    assert found["cells"] == [key_of(done, "two", replicate=2)]


def test_after_a_recovery_a_mark_that_may_have_made_its_replicate_makes_none(
    done: Project,
) -> None:
    wish(done, "two", 1)
    found_again = mark(done, "two", 2)
    found_again = replace(found_again, id=found_again.makes[:16])
    done.append(Marks(marks=(found_again,)), *done_lines(found_again.makes))

    found = done.chosen("redo=true")

    assert (found["cells"], found["granted"]) == ([], 1)
    [key] = done.chosen(f"cell={key_of(done, 'two')}")["cells"]
    assert key == key_of(done, "two", replicate=3)


def test_marks_of_a_kind_choose_cells_and_other_words_must_hold_too(done: Project) -> None:
    wish(done, "two", 1, kind="pick")
    wish(done, "three", 2, kind="pick")

    assert done.chosen("pick=true")["cells"] == [
        key_of(done, "two", replicate=2),
        key_of(done, "three", replicate=2),
    ]
    assert done.chosen("pick=true", "prompt=two")["cells"] == [key_of(done, "two", replicate=2)]
    code, found, _ = done.redo("--only", "pick=yes", "--dry-run")
    assert (code, found["error"]["message"]) == (2, "`--only pick=yes`: expected `pick=true`")


def test_a_limit_leaves_marks_to_a_later_call(done: Project) -> None:
    wish(done, "two", 1)
    done.append(*granted(done, "two", 1, 2))
    wish(done, "two", 2)
    wish(done, "one", 3)

    _, found, _ = done.redo("--only", "redo=true", "--limit", "1", "--dry-run")

    assert (len(found["redo"]["cells"]), found["redo"]["left"]) == (1, 1)
