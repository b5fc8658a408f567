"""Two cells never have one file, and which of them has the plain name doesn't hang on timing."""

import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from simulated import Runflow, now
from test_downloader import PNG, Gallery, Pictures, whole

from batchrun.base.disk import InlineDisk
from batchrun.engine.names import Claims, Names
from batchrun.engine.run_tag import RunTag
from batchrun.ledger.file import rebuild_ledger
from batchrun.ledger.records import Intent, decode
from batchrun.manifest.cells import Cell
from batchrun.recovery.missing_records import FoundRun
from batchrun.recovery.rebuild_ledger import describe
from batchrun.runflow.wire import Run

A, B, C = "a" * 32, "b" * 32, "c" * 32
OWN_A, OWN_B = "-" + "a" * 12, "-" + "b" * 12


@pytest.mark.parametrize(
    ("first", "second", "given"),
    [
        ("chair", "chair", "chair" + OWN_B),
        ("chair", "CHAIR", "CHAIR" + OWN_B),
        ("caf\u00e9", "cafe\u0301", "cafe\u0301" + OWN_B),
        ("chair", "chair-2", "chair-2" + OWN_B),
        ("chair-2", "chair", "chair" + OWN_B),
        ("Chair", "chair-10", "chair-10" + OWN_B),
        ("x/chair", "x/chair-2", "x/chair-2" + OWN_B),
        ("cat", "cat.png/dog", "cat.png_/dog"),
        ("cat.png/dog", "cat", "cat" + OWN_B),
        ("cat", "cat-3.webp/dog", "cat-3.webp_/dog"),
        ("cat", "cat.part/dog", "cat.part_/dog"),
        ("x/cat", "x/Cat.jpg/a/b", "x/Cat.jpg_/a/b"),
        # Names that only look alike keep what they are.
        ("chair-1", "chair-2", "chair-2"),
        ("chair", "chair-two", "chair-two"),
        ("chair", "chair-0", "chair-0"),
        ("chair", "chair-02", "chair-02"),
        ("x/chair", "y/chair-2", "y/chair-2"),
        ("cat", "cat/dog", "cat/dog"),
        ("v1.5/cat", "v1.5/dog", "v1.5/dog"),
        ("cat.png/dog", "cat.png/cow", "cat.png/cow"),
        ("chair", "", ""),
    ],
)
def test_a_second_cell_has_a_name_of_its_own(first: str, second: str, given: str) -> None:
    claims = Claims()
    assert claims.give(A, first) == first

    assert claims.give(B, second) == given
    assert (claims.give(A, first), claims.give(B, second)) == (first, given)


def test_a_name_with_a_suffix_can_be_taken_too() -> None:
    claims = Claims()
    claims.give(A, "chair")
    claims.give(C, "chair" + OWN_B)

    assert claims.give(B, "chair") == f"chair-{B}"


def test_a_name_takes_little_memory() -> None:
    names = [
        (f"{number:032x}", f"red chair in room {number}-{number % 7}") for number in range(9000)
    ]
    claims = Claims()
    tracemalloc.start()
    try:
        for cell, name in names:
            claims.give(cell, name)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < len(names) * 2 * 80
    assert sys.getsizeof(names[0][1]) > 60, "the texts would take more"


@dataclass(kw_only=True)
class Several(Runflow):
    """A run's input `n` says how many files it has."""

    def __post_init__(self) -> None:
        self.edit_run = self._with_files

    def _with_files(self, run: dict[str, Any]) -> dict[str, Any]:
        if not run.get("output"):
            return run
        made = next(each for each in self.runs if each.id == run["id"])
        count = made.input.get("n", 1)
        urls = [f"https://files.example/{run['id']}/{number}.png" for number in range(count)]
        return run | {"output": {"outputs": [{"url": url} for url in urls]}}


async def backwards(request: httpx.Request) -> httpx.Response:
    """Answer the later, the earlier it is asked."""
    await anyio.sleep(max(0.0, 500 - anyio.current_time() * 5))
    return whole(request)


PAIR = "models: [a/b]\nzip: {p: [chair, chair-2], n: [2, 1]}\noutputs: {name: '${p}'}\n"
LETTERS = "models: [a/b]\ninputs: {p: [cat, CAT, Cat, dog]}\noutputs: {name: '${p}'}\n"
FOLDERS = """\
models: [a/b]
zip: {p: [cat, cat.png, cat], q: ['', dog, cow]}
outputs: {name: '${p}/${q}'}
"""
MODELS = """\
models: [{id: a/b, concurrency: 1}, c/d]
inputs: {p: [cat, dog, cow]}
outputs: {name: '${p}'}
"""


@pytest.mark.parametrize("text", [PAIR, LETTERS, FOLDERS, MODELS])
async def test_names_do_not_depend_on_timing(tmp_path: Path, text: str) -> None:
    found = []
    for number, host in enumerate((whole, backwards)):
        for at_once in (1, 6):
            path = tmp_path / f"{number}-{at_once}"
            path.mkdir()
            world = Gallery(path, Several(), text=text, host=host)

            stops = await world.call(concurrency=at_once)

            assert stops.codes == []
            contents = [(world.folder / path).read_bytes() for path in world.files()]
            assert len(contents) == len(set(contents))
            assert sorted(path for each in world.saved().values() for path in each) == world.files()
            found.append(world.saved())
    assert all(each == found[0] for each in found)


def named(world: Gallery) -> dict[str, str]:
    """Return the name that each cell's newest intent has."""
    lines = (world.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    intents = [each for line in lines if isinstance(each := decode(line), Intent)]
    return {each.cell: each.name for each in intents}


async def test_names_are_those_of_one_call_however_often_it_was_cut(tmp_path: Path) -> None:
    worlds = []
    for limit in (None, 1):
        path = tmp_path / str(limit)
        path.mkdir()
        world = Gallery(path, Several(), text=LETTERS)
        worlds.append(world)
        for _ in range(4):
            await world.call(limit=limit)

    assert named(worlds[0]) == named(worlds[1])
    assert worlds[0].saved() == worlds[1].saved()


async def test_cells_that_were_left_out_keep_their_names_for_later(tmp_path: Path) -> None:
    text = "models: [a/b]\ninputs: {p: [cat, CAT]}\noutputs: {name: '${p}'}\n"
    world = Gallery(tmp_path, Several(), text=text)
    await world.call(only={"p": ["CAT"]})
    [(late, path)] = [(cell, paths[0]) for cell, paths in world.saved().items()]

    await world.call()

    assert path == f"files/CAT-{late[:12]}.png"
    assert "files/cat.png" in world.files()


async def test_the_walk_of_the_names_keeps_step_with_the_cells_that_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "models: [a/b]\ninputs: {p: {$range: [1, 20]}}\noutputs: {name: 'x${p}'}\n"
    world = Gallery(tmp_path, Several(), text=text)
    await world.call(concurrency=20)
    world.text = text.replace("20", "21")
    steps: list[int] = []
    follow = Names.follow

    def counted(self: Names, cell: Cell) -> None:
        before = self._reached
        follow(self, cell)
        steps.append(self._reached - before)

    monkeypatch.setattr(Names, "follow", counted)
    await world.call()

    assert max(steps) == 1
    assert sum(steps) == 21
    assert "files/x21.png" in world.files()


async def test_a_cell_that_is_tried_again_keeps_its_name(tmp_path: Path) -> None:
    service = Several(ending=lambda number: "failed" if number == 0 else "succeeded")
    world = Gallery(
        tmp_path, service, text="models: [a/b]\ninputs: {p: cat}\noutputs: {name: 'x'}\n"
    )
    await world.call(attempts=1)
    world.text = world.text.replace("'x'", "'y'")

    await world.call(attempts=2)

    assert set(named(world).values()) == {"x"}
    assert world.files() == ["files/x.png"]


async def test_a_ledger_that_is_rebuilt_has_the_names_that_the_lost_one_had(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Several(), text=LETTERS)
    await world.call()
    before = named(world)
    (world.folder / "ledger.jsonl").unlink()
    runs = [
        FoundRun(RunTag(cell, 1, cell), Run(id=cell, status_code="succeeded", metadata={}))
        for cell in reversed(before)
    ]

    with rebuild_ledger(world.folder, disk=InlineDisk(), clock=now) as rebuilding:
        about = await describe(world.manifest(), runs, rebuilding.ledger)

    assert {cell: each.name for cell, each in about.items()} == before


async def test_files_of_another_sweep_stay_as_they_are(tmp_path: Path) -> None:
    world = Gallery(tmp_path, Several(), text=PAIR)
    other = world.folder / "files" / "chair-1.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(PNG + b"another's")

    await world.call()

    assert other.read_bytes() == PNG + b"another's"
    [(cell, _)] = [(cell, paths) for cell, paths in world.saved().items() if len(paths) == 2]
    own = [f"files/chair-{cell[:12]}-{number}.png" for number in (1, 2)]
    assert world.files() == sorted([*own, "files/chair-1.png", "files/chair-2.png"])


async def test_files_that_were_saved_under_the_old_rule_stay_where_they_are(tmp_path: Path) -> None:
    """It wrote one name into both intents, and gave the suffix to the later download."""
    text = "models: [a/b]\ninputs: {p: [cat, CAT, dog]}\noutputs: {name: '${p}'}\n"
    world = Gallery(tmp_path, Several(), text=text)
    await world.call()
    ledger = world.folder / "ledger.jsonl"
    cell = next(cell for cell, name in named(world).items() if name.startswith("CAT"))
    old = ledger.read_text().replace(f'"name":"CAT-{cell[:12]}"', '"name":"CAT"')
    ledger.write_text(old)
    (world.folder / world.saved()[cell][0]).unlink()
    before = world.saved()

    stops = await world.call()

    assert stops.codes == []
    assert world.saved() == before
    assert world.files() == sorted(path for paths in before.values() for path in paths)


@pytest.mark.parametrize(
    "name", ["${p}-${cell}", "${p}/${p}/${p}/${p}/${p}/${p}/${cell}/${p}/${p}"]
)
async def test_a_name_that_is_cut_keeps_the_key_that_makes_it_one(
    tmp_path: Path, name: str
) -> None:
    long = "x" * 300
    text = f"models: [a/b]\ninputs: {{p: [{long}a, {long}b]}}\noutputs: {{name: '{name}'}}\n"
    world = Gallery(tmp_path, Several(), text=text)

    await world.call()

    assert len(world.files()) == 2
    assert all(cell[:12] in path for cell, [path] in world.saved().items())


async def test_a_file_with_twelve_digits_that_are_no_cells_is_not_written_over(
    tmp_path: Path,
) -> None:
    """A time is a likely value; it looks like the beginning of a key."""
    text = 'models: [a/b]\ninputs: {prompt: ["202611290712"]}\noutputs: {name: "${prompt}"}\n'
    world = Gallery(tmp_path, Pictures(), text=text)
    theirs = world.folder / "files" / "202611290712.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("a picture of mine")

    await world.call()

    assert theirs.read_text() == "a picture of mine"
    assert len(world.files()) == 2
