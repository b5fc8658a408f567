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
    {"catalogue"},
    {"engine", "receiver", "results"},
    {"exports", "planning", "recovery", "report"},
    {"commands"},
    {"cli", "python"},
    {"__main__"},
]
"""A room may import those that stand before its own, and no other of its own line."""

LEVEL: Final = {name: number for number, names in enumerate(LEVELS) for name in names}

SHARED_BY_COMMANDS: Final = {
    "before_sending",
    "beside",
    "bug_report",
    "call",
    "callbacks",
    "cell_life",
    "changed_types",
    "checking_inputs",
    "confirm",
    "connection",
    "drawing",
    "edited",
    "error_boundary",
    "execute",
    "exporting",
    "fetched_logs",
    "final_report",
    "grid_counts",
    "help_json",
    "knowing_balance",
    "knowing_models",
    "labels_page",
    "ledger_counts",
    "live_page",
    "notes",
    "nothing_to_do",
    "open_runs",
    "options",
    "outcome",
    "page_from_ledger",
    "paid_before",
    "plan_table",
    "plan_words",
    "preview",
    "progress_choice",
    "recovering",
    "reporting",
    "retrying",
    "questions",
    "reuse_sources",
    "reusing",
    "run_options",
    "signals",
    "standard_input",
    "status_report",
    "stdout",
    "taking_over",
    "target",
    "whose",
}
"""Modules in commands/ that are no commands."""

IMPURE: Final = {
    *("anyio", "asyncio", "fcntl", "glob", "http", "httpx", "importlib", "mimetypes", "os"),
    *("platform", "random", "secrets", "shutil", "signal", "socket", "ssl", "subprocess"),
    *("tempfile", "threading", "time", "tqdm"),
}
"""A pure module imports none of these, directly or by way of another."""

CLOCKS_AND_DOORS: Final = {"import_module", "now", "open", "today", "utcnow", "uuid1", "uuid4"}
"""Functions that a pure module doesn't call; methods of ours may have these names."""

ALWAYS_PURE: Final = {
    *("base.values", "engine.budget", "engine.in_flight", "engine.waves", "errors"),
    *("ledger.book", "ledger.history", "ledger.records", "manifest.cell_key"),
    *("manifest.expressions.template", "manifest.manifest", "manifest.yaml.document"),
    *("runflow.post_outcomes", "runflow.ratelimit.pace", "runflow.wire"),
}
"""Modules whose docstrings must say so."""

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
    *("rename", "samefile", "stat", "symlink_to", "touch", "unlink", "write_bytes", "write_text"),
    *("chmod", "readlink"),
}
"""Methods of a Path that look at the disk or at the current folder."""

OWNERS: Final = {
    "tqdm": {"results.progress_bar"},
    "fcntl": {"ledger.lock", "ledger.day_file", "runflow.ratelimit.shared_pace", "base.disk"},
    "yaml": {"manifest"},
    "starlette": {"receiver", "simulator"},
    "uvicorn": {"receiver", "simulator"},
    "jinja2": {"report.page_file"},
    "PIL": {"simulator", "report.thumbnails"},
    "pyarrow": {"exports.parquet"},
    "trustme": {"simulator.certificates"},
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
    circles = [
        (module, imported)
        for module in MODULES
        for imported in imported_by(module)
        if module in graph().find_upstream_modules(imported)
    ]

    assert not circles


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "commands"])
def test_no_command_imports_another(module: str) -> None:
    others = {name.rpartition(".")[2] for name in imported_by(module) if room(name) == "commands"}

    assert others <= SHARED_BY_COMMANDS


def test_what_decides_is_pure() -> None:
    assert {f"batchrun.{name}" for name in ALWAYS_PURE} <= set(PURE)


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reaches_nothing_outside(module: str) -> None:
    reached = graph().find_upstream_modules(module) & IMPURE
    ways = [graph().find_shortest_chain(module, name) for name in reached]

    assert not ways


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_asks_no_clock_and_opens_nothing(module: str) -> None:
    called = [node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    plain = {func.id for func in called if isinstance(func, ast.Name)}
    methods = {
        func.attr
        for func in called
        if isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name)
        and func.value.id in {"date", "datetime", "io", "uuid"}
    }

    assert not (plain | methods) & CLOCKS_AND_DOORS


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) not in {"cli", "commands"}])
def test_only_the_command_line_imports_late(module: str) -> None:
    late = [
        ast.unparse(below)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for below in ast.walk(node)
        if isinstance(below, ast.Import | ast.ImportFrom)
    ]

    assert not late


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
