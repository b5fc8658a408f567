"""The house's rule: an import never goes upwards or in a circle, and pure modules touch nothing."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import grimp
import pytest

import batchrun

ROOT: Final = Path(batchrun.__file__).parent
MODULES: Final = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)

LEVELS: Final = [
    {"errors"},
    {"base"},
    {"settings"},
    {"sweep"},
    {"ledger", "manifest", "runflow"},
    {"engine", "results"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
"""A room may import those that stand before its own, and no other of its own line."""

LEVEL: Final = {name: number for number, names in enumerate(LEVELS) for name in names}

SHARED_BY_COMMANDS: Final = {
    "bug_report",
    "call",
    "connection",
    "error_boundary",
    "final_report",
    "grid_counts",
    "options",
    "preview",
    "progress_choice",
    "run_options",
    "signals",
    "status_report",
    "stdout",
    "target",
}
"""Modules in commands/ that are no commands."""

IMPURE: Final = {"anyio", "asyncio", "httpx", "os", "random", "tempfile", "time", "tqdm"}
"""A pure module imports none of these, directly or by way of another."""

FILE_WORK: Final = {
    *("absolute", "cwd", "exists", "expanduser", "glob", "hardlink_to", "home", "is_dir"),
    *(
        "is_file",
        "iterdir",
        "lstat",
        "mkdir",
        "open",
        "read_bytes",
        "read_text",
        "resolve",
        "rglob",
        "rmdir",
    ),
    *("samefile", "stat", "symlink_to", "touch", "unlink", "write_bytes", "write_text"),
}
"""Methods of a Path that look at the disk or at the current folder."""

OWNERS: Final = {
    "tqdm": {"results.progress_bar"},
    "fcntl": {"ledger.file", "runflow.ratelimit.shared_pace", "base.disk"},
    "yaml": {"manifest"},
    "starlette": {"simulator"},
    "uvicorn": {"simulator"},
    "PIL": {"simulator"},
}
"""Who alone imports a package."""


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("batchrun", include_external_packages=True, cache_dir=None)


def room(module: str) -> str:
    """Return the room of one of our modules; the package itself is of none."""
    return module.split(".")[1] if "." in module else ""


def imported_by(module: str) -> set[str]:
    return {name for name in graph().find_modules_directly_imported_by(module) if _ours(name)}


def _ours(name: str) -> bool:
    return name == "batchrun" or name.startswith("batchrun.")


def tree(module: str) -> ast.Module:
    path = ROOT.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def is_pure(module: str) -> bool:
    """Say whether a module's docstring claims it."""
    return re.search(r"\bPure\b", ast.get_docstring(tree(module)) or "") is not None


PURE: Final = [module for module in MODULES if is_pure(module)]


@pytest.mark.parametrize("module", MODULES)
def test_an_import_never_goes_upwards(module: str) -> None:
    for name in imported_by(module):
        if not room(name) or room(name) == room(module):
            continue
        if room(name) == "simulator":
            assert room(module) == "commands", f"{module} imports {name}"
        else:
            assert room(module) != "simulator", f"{module} imports {name}"
            assert LEVEL[room(name)] < LEVEL[room(module)], f"{module} imports {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles = [module for module in MODULES if module in graph().find_upstream_modules(module)]

    assert not circles


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "commands"])
def test_no_command_imports_another(module: str) -> None:
    others = {name.rpartition(".")[2] for name in imported_by(module) if room(name) == "commands"}

    assert others <= SHARED_BY_COMMANDS


def test_there_are_pure_modules() -> None:
    assert len(PURE) > 30


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reaches_nothing_outside(module: str) -> None:
    reached = graph().find_upstream_modules(module) & IMPURE
    ways = [graph().find_shortest_chain(module, name) for name in reached]

    assert not ways


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_no_work_on_files(module: str) -> None:
    names = {node.attr for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute)}

    if "pathlib" in graph().find_modules_directly_imported_by(module):
        assert not names & FILE_WORK


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_with_an_owner_is_imported_by_it_alone(package: str) -> None:
    users = graph().find_modules_that_directly_import(package)

    assert users
    for user in users:
        assert {user.removeprefix("batchrun."), room(user)} & OWNERS[package], user
