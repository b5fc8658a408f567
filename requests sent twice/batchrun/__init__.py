"""Declarative batch runs on Runflow: a YAML manifest in, finished files and a table out.

The way of the data through the house:

    manifest/   text -> cells: what is to be made
    ledger/     what happened, for good: lines, their fold, the file
    runflow/    the API's side of us: HTTP, rate limit, downloads
    engine/     the task group that brings the three together
    results/    what people look at
    commands/   one module a command; cli.py picks it
    sweep/      where a sweep lives and who it is
    settings.py what one call shall do
    base/       what every room uses and none owns
    simulator/  the other side of the wire; shares nothing with us

Values are msgspec structs: a dataclass does the same and takes thirty times as long to be made, in
each call, before anything happens. It is left to what a struct can't be. An import never goes
upwards: cli, commands, {engine, results}, {ledger, manifest, runflow}, sweep, settings, base,
errors. `docs/architecture.md` shows it on one page.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
