"""Declarative batch runs on Runflow: a YAML manifest in, finished files and a table out.

The way of the data through the house:

    manifest/   text -> cells: what is to be made
    ledger/     what happened, for good: lines, their fold, the file
    runflow/    the API's side of us: HTTP, rate limit, downloads
    engine/     the task group that brings the three together
    results/    what people look at
    commands/   one module a command; cli.py picks it
    python/     the same as functions, for programs
    sweep/      where a sweep lives and who it is
    settings.py what one call shall do
    base/       what every room uses and none owns
    simulator/  the other side of the wire; shares nothing with us

Values are msgspec structs: a dataclass does the same and takes thirty times as long to be made, in
each call, before anything happens. It is left to what a struct can't be. An import never goes
upwards: cli, commands, {engine, results}, {ledger, manifest, runflow}, sweep, settings, base,
errors. `docs/architecture.md` shows it on one page.

For Python programs: `load`, `plan`, `run`, `run_async`, `stream`, `read_ledger`, and `errors`; see
docs/python.md. None of them is imported before its first use. `__init__.pyi` has their types.
"""

__version__ = "0.1.0"

_HOMES = {
    "load": "python.calls",
    "plan": "python.calls",
    "read_ledger": "python.calls",
    "run": "python.calls",
    "run_async": "python.calls",
    "stream": "python.calls",
    "Manifest": "python.loading",
    "LedgerView": "python.reading",
    "Stream": "python.streaming",
    "End": "python.values",
    "ModelPlan": "python.values",
    "Plan": "python.values",
    "Result": "results.result",
}

__all__ = [
    "End",
    "LedgerView",
    "Manifest",
    "ModelPlan",
    "Plan",
    "Result",
    "Stream",
    "__version__",
    "errors",
    "load",
    "plan",
    "read_ledger",
    "run",
    "run_async",
    "stream",
]


def __getattr__(name: str) -> object:
    """Import a name of the package at its first use."""
    if name == "errors":
        return __import__("batchrun.errors", fromlist=[name])
    if name not in _HOMES:
        raise AttributeError(f"module `batchrun` has no `{name}`")
    found = getattr(__import__(f"batchrun.{_HOMES[name]}", fromlist=[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
