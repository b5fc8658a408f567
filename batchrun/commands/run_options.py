"""What `batchrun MANIFEST` can be told, and what that makes of the manifest's limits."""

import argparse
import shlex
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.values import (
    MOST_ITEMS,
    FailOn,
    Rate,
    parse_batch_size,
    parse_count,
    parse_fail_on,
    parse_money,
    parse_rate,
    parse_seconds,
    parse_wait,
)
from batchrun.commands.options import Parser, add_place, value
from batchrun.engine.selection import check_statuses
from batchrun.errors import UsageError
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.manifest import Manifest
from batchrun.manifest.select import check_found, parse_only
from batchrun.settings import Settings

SHOWING: Final = frozenset({"--json", "--quiet", "--verbose", "--no-progress", "--dry-run"})
"""What changes nothing but what is shown."""

FOR_ONE_CALL: Final = SHOWING | {
    *("--limit", "--max-duration", "--retry-failed", "--resubmit-in-doubt")
}
"""What the next call is not to do again by itself."""

WITH_VALUE: Final = frozenset({"--limit", "--max-duration", "--only"})
"""Those of the options that are ever left out whose value goes with them."""


DESCRIPTIONS: Final = {
    "run": "Run a manifest, or go on with it. The word `run` may be left out.",
    "plan": "What would be done and what it may cost; sends no run.",
}


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for. Below this line nobody knows argparse."""

    manifest: Path
    endpoint: str | None
    outputs: Path | None
    label: str | None
    concurrency: int | None
    rate: Rate | None
    attempts: int | None
    timeout: float | None
    settle: float | None
    give_up: float | None
    batch: int | None
    interval: float | None
    budget: Decimal | None
    limit: int | None
    max_duration: float | None
    only: tuple[str, ...]
    retry_failed: bool
    fail_on: FailOn | None
    on_interrupt: str
    no_download: bool
    trust_key: bool
    resubmit_in_doubt: bool
    dry_run: bool
    json: bool
    quiet: bool
    no_progress: bool
    verbose: bool


def parse(argv: Sequence[str], *, command: str = "run") -> Options:
    """Return the options in *argv*; UsageError where they are wrong."""
    parser = Parser(command, description=DESCRIPTIONS[command])
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    add_place(parser)
    _add_limits(parser)
    _add_what(parser)
    _add_output(parser)
    values = vars(parser.parse_args(argv))
    return Options(**{**values, "only": tuple(values["only"])})


def command_in(argv: Sequence[str], *, without: Collection[str] = FOR_ONE_CALL) -> str:
    """Return the command as it was typed, but for the options *without*.

    Whoever copies it to go on keeps the budget, the pace, and all else that was asked for.
    """
    kept, words = ["batchrun"], iter(argv)
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in without and word != "--":
            kept.append(word)
        elif name in WITH_VALUE and not equals:
            next(words)
    return shlex.join(kept)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits, in place of the manifest's")
    group.add_argument("--concurrency", type=value(parse_count), metavar="N", help="runs in flight")
    group.add_argument(
        "--rate", type=value(parse_rate), metavar="R", help="API calls, such as 10/s or 600/min"
    )
    group.add_argument(
        "--attempts", type=value(parse_count), metavar="N", help="runs per cell that may end failed"
    )
    group.add_argument(
        "--timeout", type=value(parse_seconds), metavar="T", help="a run older than this is parked"
    )
    group.add_argument(
        "--settle",
        type=value(parse_wait),
        metavar="T",
        help="how long the service may take to list what it was sent",
    )
    group.add_argument(
        "--give-up",
        type=value(parse_seconds),
        metavar="T",
        help="how long the API may be out of reach (default 60s)",
    )
    group.add_argument(
        "--batch",
        type=value(parse_batch_size),
        metavar="N",
        help=f"items of one batch, up to {MOST_ITEMS} (the default); 1: no batches",
    )
    group.add_argument(
        "--budget", type=value(parse_money), metavar="USD", help="what the sweep may cost in all"
    )
    group.add_argument(
        "--interval", type=value(parse_seconds), metavar="T", help="shortest wait between looks"
    )


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do")
    group.add_argument("--dry-run", action="store_true", help="show the plan; nothing is sent")
    group.add_argument(
        "--limit", type=value(parse_count), metavar="N", help="at most N new cells in this call"
    )
    group.add_argument(
        "--max-duration",
        type=value(parse_seconds),
        metavar="T",
        help="stop submitting and leave after this time; the next call goes on",
    )
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME=V[,V]",
        help="only cells with these values; repeatable, all must hold",
    )
    group.add_argument(
        "--retry-failed",
        action="store_true",
        help="grant failed, rejected and cancelled cells their attempts again; "
        "what was cancelled may be billed again",
    )
    group.add_argument(
        "--resubmit-in-doubt",
        action="store_true",
        help="send again what may have been sent, where the service can't tell",
    )
    group.add_argument(
        "--trust-key", action="store_true", help="go on though the key doesn't see our last run"
    )
    group.add_argument("--no-download", action="store_true", help="leave outputs where they are")
    group.add_argument(
        "--on-interrupt",
        choices=("detach", "drain"),
        default="detach",
        help="leave runs in flight to the next call, or see them to their end",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to show")
    group.add_argument(
        "--fail-on",
        type=value(parse_fail_on),
        metavar="any|N|P%|none",
        help="how many failed cells make the exit code 1 (default any)",
    )
    group.add_argument("--json", action="store_true", help="one JSON object on stdout")
    group.add_argument("--quiet", action="store_true", help="errors and the result only")
    group.add_argument("--no-progress", action="store_true", help="no bar and no progress lines")
    group.add_argument("--verbose", action="store_true", help="say what is tried again, and why")


def settings_of(options: Options, manifest: Manifest) -> Settings:
    """Return the manifest's limits with what *options* put in their place."""
    given: dict[str, Any] = {
        "concurrency": options.concurrency,
        "rate": options.rate,
        "attempts": options.attempts,
        "timeout": options.timeout,
        "settle": options.settle,
        "give_up": options.give_up,
        "batch": options.batch,
        "budget": options.budget,
        "poll_interval": options.interval,
        "limit": options.limit,
        "max_duration": options.max_duration,
        "fail_on": options.fail_on,
    }
    settings = manifest.settings()
    try:
        only = parse_only(manifest, options.only)
        check_statuses(only)
        check_found(only, expand(manifest) if only else ())
    except ValueError as error:
        raise UsageError(str(error)) from None
    return replace(
        settings,
        **{name: each for name, each in given.items() if each is not None},
        only=only,
        download=settings.download and not options.no_download,
        retry_failed=options.retry_failed,
        resubmit_in_doubt=options.resubmit_in_doubt,
        trust_key=options.trust_key,
        drain=options.on_interrupt == "drain",
    )
