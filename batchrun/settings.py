"""The settings of one call of batchrun, and the one table of them all. Pure.

A setting is added in three places: a line of `SETTINGS`, a field of `Settings`, and the module that
obeys it. The manifest's reader and its JSON Schema, the command line, the defaults, what is no part
of a cell's identity, and the table in docs/manifest.md are made from that line.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.ceilings import (
    MOST_ATTEMPTS,
    MOST_CELLS,
    MOST_DOWNLOADS,
    MOST_IN_FLIGHT,
)
from batchrun.base.values import (
    MOST_ITEMS,
    FailOn,
    InputErrors,
    Rate,
    parse_batch_size,
    parse_fail_on,
    parse_flag,
    parse_ids,
    parse_input_errors,
    parse_money,
    parse_rate,
    parse_seconds,
    parse_wait,
    up_to,
)

BY_ID: Final = 5.0
"""Seconds that the question for one run may take before the list of its wave is asked, too."""

ANY: Final = FailOn(more_than=0)
"""Any cell that ends badly makes the exit code 1."""


class Settings(Struct, frozen=True, kw_only=True):
    """Times are seconds. *limit* counts cells that get their first run in this call; *batch* is how
    many items a batch may have; *wave_size* is None where the service's pages decide, and a number
    in tests and benchmarks alone.
    """

    concurrency: int
    rate: Rate
    attempts: int
    timeout: float
    settle: float
    give_up: float
    poll_interval: float
    batch: int
    downloads: int = 8
    input_errors: InputErrors = InputErrors.REFUSE
    budget: Decimal | None = None
    confirm_above: Decimal | None = None
    budget_per_day: Decimal | None = None
    download: bool = True
    model_concurrency: Mapping[str, int] = field(default_factory=dict)
    model_prices: Mapping[str, Decimal] = field(default_factory=dict)
    model_budgets: Mapping[str, Decimal] = field(default_factory=dict)
    wave_size: int | None = None
    limit: int | None = None
    max_duration: float | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    retry_failed: bool = False
    fail_on: FailOn = ANY
    drain: bool = False
    trust_key: bool = False
    allow_short: bool = False
    new_types: bool = False
    resubmit_in_doubt: bool = False
    set_aside: tuple[str, ...] = ()

    @property
    def names_codes(self) -> bool:
        """Whether `--only code=…` names what it is about: then `--retry-failed` leaves none out."""
        return "code" in self.only

    @property
    def limited(self) -> bool:
        """Whether any budget is kept."""
        return not (self.budget is None and self.budget_per_day is None and not self.model_budgets)


# Parts of the manifest's JSON Schema.


def counted(most: int) -> dict[str, Any]:
    """Return the schema of a whole number from 1 to *most*."""
    return {"type": "integer", "minimum": 1, "maximum": most}


SECONDS: Final = {
    "type": "string",
    "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d)|\$\{env:.*)$",
    "description": "a time such as 500ms, 30s, 15m or 1h",
}
RATE: Final = {"type": "string", "pattern": r"^(\d+(\.\d+)?/(s|min|h)|\$\{env:.*)$"}
MONEY: Final = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[\d.]+$"}]
}


class Setting(Struct, frozen=True, kw_only=True):
    """One line of the table; *name* is the field of `Settings`.

    *key* is where a manifest has it, None where only the command line does. *flag* is its option:
    with *parse* an option with a value, without it a switch that sets *value*. *written* is the
    default as a manifest would write it, "" for none. *says* is what it is, *help* what the option
    does where that is another thing, *more* what docs/manifest.md says where that is more.
    *for_one_call* is whether the command that goes on leaves it out. None of these is a part of a
    cell's identity.
    """

    name: str
    says: str
    key: str | None = None
    flag: str | None = None
    parse: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None
    value: Any = True
    written: str = ""
    metavar: str | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)
    help: str = ""
    more: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)
    for_one_call: bool = False

    @property
    def reader(self) -> Callable[[Any], Any]:
        """The reader of the value that a manifest has for it; raises ValueError("expected ...")."""
        return self.read or self.parse or parse_flag

    @property
    def default(self) -> Any:
        """The value where neither the manifest nor the command line says one."""
        if not self.written:
            return None
        return self.reader(_READ.get(self.written, self.written))


NONE: Final[Mapping[str, Decimal]] = {}

_READ: Final[Mapping[str, Any]] = {"true": True, "false": False}

LIMITS: Final = (
    Setting(
        name="concurrency",
        key="limits.concurrency",
        flag="--concurrency",
        parse=up_to(MOST_IN_FLIGHT),
        written="16",
        metavar="N",
        says=f"runs in flight, at most {MOST_IN_FLIGHT:,}",
        schema=counted(MOST_IN_FLIGHT),
    ),
    Setting(
        name="rate",
        key="limits.rate",
        flag="--rate",
        parse=parse_rate,
        written="10/s",
        metavar="R",
        says="every API call together, such as 10/s or 600/min",
        more="every API call together",
        schema=RATE,
    ),
    Setting(
        name="attempts",
        key="limits.attempts",
        flag="--attempts",
        parse=up_to(MOST_ATTEMPTS),
        written="2",
        metavar="N",
        says=f"runs per cell that may end failed, at most {MOST_ATTEMPTS:,}",
        schema=counted(MOST_ATTEMPTS),
    ),
    Setting(
        name="timeout",
        key="limits.timeout",
        flag="--timeout",
        parse=parse_seconds,
        written="15m",
        metavar="T",
        says="a run older than this is parked",
        more="a run older than this is parked, its id kept",
        schema=SECONDS,
    ),
    Setting(
        name="settle",
        key="limits.settle",
        flag="--settle",
        parse=parse_wait,
        written="30s",
        metavar="T",
        says="how long the service may take to list what it was sent",
        more="how long after a request its run may still appear in the service's lists; 0s: it "
        "appears at once",
        schema=SECONDS,
    ),
    Setting(
        name="budget",
        key="limits.budget",
        flag="--budget",
        parse=parse_money,
        metavar="USD",
        says="what the sweep may cost in all, in US dollars",
        more="US dollars over the sweep's life; submitting stops there; a run without a known cost "
        "counts as what was reserved for it",
        schema=MONEY,
    ),
    Setting(
        name="budget_per_day",
        key="limits.budget_per_day",
        flag="--budget-per-day",
        parse=parse_money,
        metavar="USD",
        says="what all labels of the sweep may cost on one UTC day, in US dollars",
        more="US dollars on one UTC day, over [all labels of the sweep](#budgets) in this folder; "
        "submitting stops there",
        schema=MONEY,
    ),
    Setting(
        name="confirm_above",
        key="limits.confirm_above",
        flag="--confirm-above",
        parse=parse_money,
        metavar="USD",
        says="what `--retry-failed` may cost before it asks, in US dollars",
        more="US dollars that `--retry-failed` may cost without a question; above them, or where a "
        "price isn't known, a terminal is asked, and a call on a pipe is exit 2 without `--yes`; "
        "without this setting nothing is asked",
        schema=MONEY,
    ),
    Setting(
        name="give_up",
        key="limits.give_up",
        flag="--give-up",
        parse=parse_seconds,
        written="60s",
        metavar="T",
        says="how long the API may be out of reach",
        schema=SECONDS,
    ),
    Setting(
        name="batch",
        key="limits.batch",
        flag="--batch",
        parse=parse_batch_size,
        written=str(MOST_ITEMS),
        metavar="N",
        says=f"items of one batch, at most {MOST_ITEMS}; 1: no batches",
        more="how many cells one request may send as a [batch](api.md#batches), at most "
        f"{MOST_ITEMS}, and never more than `limits.concurrency` leaves room for; 1: each has its "
        "own",
        schema=counted(MOST_ITEMS),
    ),
    Setting(
        name="downloads",
        key="limits.downloads",
        flag="--downloads",
        parse=up_to(MOST_DOWNLOADS),
        written="8",
        metavar="N",
        says=f"files that are fetched at once, at most {MOST_DOWNLOADS:,}",
        more=f"files that are fetched at once, at most {MOST_DOWNLOADS:,}, whatever "
        "`limits.concurrency` is",
        schema=counted(MOST_DOWNLOADS),
    ),
    Setting(
        name="input_errors",
        key="limits.input_errors",
        flag="--input-errors",
        parse=parse_input_errors,
        written="refuse",
        metavar="refuse|warn",
        says="what happens to cells whose input their model's description rules out",
        more="what happens to cells whose input their model's description rules out: nothing is "
        "sent (refuse), or they are sent all the same (warn)",
        schema={"type": "string", "pattern": rf"^({'|'.join(InputErrors)}|\$\{{env:.*)$"},
    ),
    Setting(
        name="poll_interval",
        key="poll.interval",
        flag="--interval",
        parse=parse_seconds,
        written="2s",
        metavar="T",
        says="the shortest wait between polls of the same wave of runs",
        schema=SECONDS,
    ),
)
"""How much at once, how fast, how often, how long, how dear."""

CALL: Final = (
    Setting(
        name="limit",
        flag="--limit",
        parse=up_to(MOST_CELLS),
        metavar="N",
        says="at most N new cells in this call",
        for_one_call=True,
    ),
    Setting(
        name="max_duration",
        flag="--max-duration",
        parse=parse_seconds,
        metavar="T",
        says="stop submitting and leave after this time; the next call goes on",
        for_one_call=True,
    ),
    Setting(
        name="retry_failed",
        flag="--retry-failed",
        says="grant failed, rejected and cancelled cells their attempts again; what was cancelled "
        "may be billed again",
        for_one_call=True,
    ),
    Setting(
        name="resubmit_in_doubt",
        flag="--resubmit-in-doubt",
        says="send again what may have been sent, where the service shows no run",
        for_one_call=True,
    ),
    Setting(
        name="set_aside",
        flag="--new-sweep",
        parse=parse_ids,
        metavar="ID[,ID]",
        says="begin anew, and pay again, though these sweeps were begun elsewhere, or beside",
        for_one_call=True,
    ),
    Setting(
        name="trust_key",
        flag="--trust-key",
        says="go on though the key doesn't see our last run, or no list of runs",
    ),
    Setting(
        name="allow_short",
        flag="--allow-short",
        says="go on though the account's balance is below the expected cost",
    ),
    Setting(
        name="new_types",
        flag="--new-types",
        says="go on, and pay again, though the type of a CSV file's column has changed",
        for_one_call=True,
    ),
    Setting(
        name="download",
        key="outputs.download",
        flag="--no-download",
        read=parse_flag,
        value=False,
        written="true",
        says="save what the runs made",
        help="leave outputs where they are",
        schema={"type": "boolean"},
    ),
    Setting(
        name="drain",
        flag="--on-interrupt",
        choices={"detach": False, "drain": True},
        says="leave runs in flight to the next call (detach, the default), or see them to their "
        "end (drain)",
    ),
)
"""The settings of one call."""

ENDING: Final = (
    Setting(
        name="fail_on",
        flag="--fail-on",
        parse=parse_fail_on,
        written="any",
        metavar="any|N|P%|none",
        says="how many failed cells make the exit code 1",
    ),
)
"""The settings of the end of a call."""

SETTINGS: Final = LIMITS + CALL + ENDING


def described(setting: Setting) -> str:
    """Return what a setting is, with its default, on one line."""
    return f"{setting.says} ({setting.written})" if setting.written else setting.says


def in_section(name: str) -> dict[str, Setting]:
    """Return the settings of one section of a manifest, by their keys in it."""
    found = (each for each in SETTINGS if each.key is not None and each.key.startswith(f"{name}."))
    return {(each.key or "").partition(".")[2]: each for each in found}


def settings_from(
    manifest: Mapping[str, Any],
    *,
    model_concurrency: Mapping[str, int],
    model_prices: Mapping[str, Decimal],
    model_budgets: Mapping[str, Decimal] = NONE,
) -> Settings:
    """Return the defaults with what a *manifest* says in their place, by the fields' names."""
    defaults = {each.name: each.default for each in SETTINGS if each.written}
    return Settings(
        **{**defaults, **manifest},
        model_concurrency=model_concurrency,
        model_prices=model_prices,
        model_budgets=model_budgets,
    )
