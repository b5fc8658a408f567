"""The house's rule: an import never goes upwards, and pure modules touch nothing outside."""

import ast
from pathlib import Path
from typing import Final

import pytest

import batchrun

ROOT: Final = Path(batchrun.__file__).parent
LEVELS: Final = [
    {"errors", "batchrun"},
    {"base"},
    {"settings"},
    {"sweep"},
    {"ledger", "manifest", "runflow"},
    {"engine", "results"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LEVEL: Final = {name: number for number, names in enumerate(LEVELS) for name in names}

PURE: Final = [
    "errors.py",
    "manifest/yaml/document.py",
    "base/endpoint.py",
    "base/values.py",
    "manifest/manifest.py",
    "manifest/expressions/template.py",
    "manifest/cell_key.py",
    "base/json_text.py",
    "ledger/records.py",
    "ledger/history.py",
    "ledger/key_index.py",
    "ledger/history_index.py",
    "ledger/book.py",
    "runflow/wire.py",
    "runflow/batches.py",
    "runflow/lenient.py",
    "runflow/responses.py",
    "runflow/ratelimit/adaptive_rate.py",
    "runflow/ratelimit/pace.py",
    "runflow/ratelimit/shared_state.py",
    "runflow/outputs.py",
    "runflow/redact.py",
    "engine/ready_queue.py",
    "engine/in_flight.py",
    "engine/poll_schedule.py",
    "engine/run_tag.py",
    "engine/waves.py",
    "results/rows.py",
    "results/tally.py",
    "results/terminal_table.py",
    "results/summary.py",
]
NOT_IN_PURE: Final = {"anyio", "asyncio", "httpx", "os", "random", "tempfile", "time", "tqdm"}
OWNERS: Final = {
    "tqdm": {"results/progress_bar.py"},
    "fcntl": {
        "ledger/file.py",
        "runflow/ratelimit/shared_pace.py",
    },  # one sweep, one process; one pace for all
    "yaml": {"manifest"},
    "starlette": {"simulator"},
    "uvicorn": {"simulator"},
    "PIL": {"simulator"},
}
MODULES: Final = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def imports(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def room(module: str) -> str:
    """Return the room of a module's path, or of a dotted name of ours."""
    if "." in module and not module.endswith(".py"):
        return module.split(".")[1]
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize("module", [m for m in MODULES if m != "__init__.py"])
def test_an_import_never_goes_upwards(module: str) -> None:
    ours = {name for name in imports(module) if name.split(".")[0] == "batchrun"}
    if room(module) == "simulator":
        assert {room(name) for name in ours} <= {"simulator", "batchrun"}
        return
    for name in ours - {"batchrun"}:
        if room(name) == "simulator":
            assert room(module) == "commands"
        elif room(name) != room(module):
            assert LEVEL[room(name)] < LEVEL[room(module)], f"{module} imports {name}"


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_touches_nothing_outside(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & NOT_IN_PURE


@pytest.mark.parametrize("module", MODULES)
def test_what_has_an_owner_is_imported_by_it_alone(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(module)}
    for package, owners in OWNERS.items():
        if package in outside:
            assert {module, room(module)} & owners, f"{module} imports {package}"
