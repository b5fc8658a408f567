"""The maps of the house are true: each module is on its room's map, each path named exists."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
HOUSE: Final = ROOT / "batchrun"
ROOMS: Final = sorted(path.parent for path in HOUSE.rglob("__init__.py"))
WITH_A_MAP: Final = [
    "base",
    "catalogue",
    "commands",
    "engine",
    "exports",
    "ledger",
    "manifest",
    "python",
    "results",
    "runflow",
    "sweep",
]
PAGES: Final = ["docs/architecture.md", "CONTRIBUTING.md"]


def map_of(room: Path) -> str:
    return ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_each_room_says_what_it_is_for(room: Path) -> None:
    assert map_of(room)


@pytest.mark.parametrize("name", WITH_A_MAP)
def test_each_module_is_on_the_map_of_its_room(name: str) -> None:
    room = HOUSE / name
    shown = set(re.findall(r"[\w/]+\.py\b|\b\w+/", map_of(room)))
    modules = {path.name for path in room.glob("*.py")} - {"__init__.py"}
    if name == "commands":  # a command is a module; the map shows what they share
        modules -= {f"{each}.py" for each in _commands()}
    rooms = {f"{path.name}/" for path in room.iterdir() if (path / "__init__.py").exists()}

    assert shown - {"cli.py"} == modules | rooms


def _commands() -> set[str]:
    from batchrun.cli import COMMANDS  # noqa: PLC0415

    return set(COMMANDS) - {"help"}


@pytest.mark.parametrize("page", PAGES)
def test_each_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = set(re.findall(r"`([\w./]+(?:\.py|\.toml|\.md|/))`", text))
    missing = [
        path for path in sorted(named) if not ((ROOT / path).exists() or (HOUSE / path).exists())
    ]

    assert len(named) > 10
    assert not missing


def test_the_page_shows_each_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = set(re.findall(r"(?m)^\| `([\w.]+)/?` \|", text))
    rooms = {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()}

    assert shown == rooms | {"settings.py"}
