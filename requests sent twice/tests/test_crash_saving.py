"""A call that is killed between the rename of an output and the line that tells of it."""

from pathlib import Path

from engine_world import World
from simulated import Runflow

TEXT = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b]}
outputs: {name: "pictures/${prompt}"}
"""


def cut(ledger: Path, kind: bytes, *, last: int) -> None:
    """Take away the last lines of that kind, as if they had never been written."""
    lines = ledger.read_bytes().splitlines(keepends=True)
    of_kind = [line for line in lines if line.startswith(b'{"type":"%b"' % kind)]
    gone = set(of_kind[-last:])
    ledger.write_bytes(b"".join(line for line in lines if line not in gone))


def pictures(world: World) -> list[str]:
    return sorted(path.name for path in (world.folder / "files" / "pictures").iterdir())


async def test_a_file_that_no_line_tells_of_is_saved_again_under_its_name(tmp_path: Path) -> None:
    world = World(tmp_path, Runflow(), text=TEXT)
    await world.call()
    cut(world.folder / "ledger.jsonl", b"saved", last=2)

    await world.call()

    assert pictures(world) == ["a.png", "b.png"]
    assert all(history.saved for history in world.book().histories.values())


async def test_a_file_that_is_another_cells_is_left_alone(tmp_path: Path) -> None:
    first, second = (
        TEXT.replace("[a, b]", prompt).replace("${prompt}", "one") for prompt in ("a", "b")
    )
    world = World(tmp_path, Runflow(), text=first)
    await world.call()
    world.text = second
    await world.call()
    both = pictures(world)
    cut(world.folder / "ledger.jsonl", b"saved", last=1)

    await world.call()

    assert pictures(world) == both
    assert len(both) == 2
