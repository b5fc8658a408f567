"""The faults that the simulator has on request, and the routes that they can strike (pure).

The routes `call` and `call_batch` are the simulator's own calls: a run's or a batch's callback.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Stage = Literal["before", "after", "create", "list", "run", "download", "asset", "put", "callback"]

CREATES: Final = frozenset({"create", "create_batch"})
LISTS: Final = frozenset({"list"})
RUNS: Final = frozenset({"get", "list", "batch", "batch_items", "batch_item"})
ASSETS: Final = CREATES | {"asset"}
CALLBACKS: Final = frozenset({"call", "call_batch"})
DOWNLOADS: Final = frozenset({"download"})
API: Final = frozenset({"any"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A fault one can ask for: when it acts, on which routes if none are named, its value."""

    stage: Stage
    routes: frozenset[str]
    value: str | None = None
    says: str


KINDS: Final[Mapping[str, Kind]] = {
    "slow": Kind(stage="before", routes=API, value="1", says="waits so many seconds first"),
    "throttle": Kind(
        stage="before",
        routes=API,
        says="429; with a value also `Retry-After` and `X-RateLimit-…`, so many seconds",
    ),
    "unauthorized": Kind(stage="before", routes=API, says="401, as for a wrong key"),
    "forbidden": Kind(stage="before", routes=API, says="403 PERMISSION_DENIED"),
    "no_credit": Kind(stage="before", routes=CREATES, says="402 INSUFFICIENT_CREDIT"),
    "conflict_409": Kind(stage="before", routes=CREATES, says="409 CONFLICT, nothing committed"),
    "proxy_page": Kind(
        stage="before", routes=API, value="403", says="a proxy's HTML page with this status"
    ),
    "redirect": Kind(
        stage="before", routes=API, value="307", says="a redirect to another host name of ours"
    ),
    "error_before": Kind(
        stage="before", routes=API, value="503", says="this status, nothing committed"
    ),
    "error_before_html": Kind(
        stage="before", routes=API, value="502", says="the same with an HTML body"
    ),
    "drop_before": Kind(
        stage="before", routes=API, says="closes the connection, nothing committed"
    ),
    "reset": Kind(stage="before", routes=API, says="resets the connection, nothing committed"),
    "hang_before_commit": Kind(stage="before", routes=API, says="never answers, nothing committed"),
    "lost_answer": Kind(
        stage="after", routes=CREATES, says="commits, then closes the connection without an answer"
    ),
    "error_after": Kind(
        stage="after", routes=CREATES, value="500", says="commits, then answers this status"
    ),
    "error_after_html": Kind(
        stage="after", routes=CREATES, value="504", says="the same with an HTML body"
    ),
    "reset_after": Kind(stage="after", routes=CREATES, says="commits, then resets the connection"),
    "hang_before_headers": Kind(stage="after", routes=CREATES, says="commits, then never answers"),
    "hang_after_headers": Kind(
        stage="after", routes=CREATES, says="commits, sends half the answer, then nothing more"
    ),
    "half_answer": Kind(
        stage="after", routes=CREATES, says="commits, sends half the answer, then closes"
    ),
    "last_answer": Kind(
        stage="after", routes=CREATES, says="commits, then gives the answer of the POST before"
    ),
    "no_run_id": Kind(
        stage="after", routes=CREATES, says="commits, then answers 201 with a body without an id"
    ),
    "cut_json": Kind(
        stage="after", routes=CREATES, says="commits, then answers 201 with JSON that ends amid it"
    ),
    "commit_lag": Kind(
        stage="create", routes=CREATES, value="5", says="answers, commits so many seconds later"
    ),
    "commit_late": Kind(
        stage="create",
        routes=CREATES,
        value="5",
        says="commits only so many seconds later, and answers then",
    ),
    "commit_on_resend": Kind(
        stage="create",
        routes=CREATES,
        value="1",
        says="answers so many seconds later; where the caller has gone by then, commits only once "
        "the same Idempotency-Key has come again",
    ),
    "list_lag": Kind(
        stage="create", routes=CREATES, value="5", says="lists the run only so many seconds later"
    ),
    "no_idempotency": Kind(stage="create", routes=CREATES, says="ignores the Idempotency-Key"),
    "no_run": Kind(
        stage="create",
        routes=frozenset({"create_batch"}),
        says="the item of a batch gets no run: its `run_id` is null, and it failed",
    ),
    "post_twice": Kind(
        stage="create", routes=CREATES, says="carries the request out twice, as by a gateway"
    ),
    "list_refs": Kind(
        stage="list",
        routes=LISTS,
        value="upper",
        says="lists spell each `client_ref` otherwise: upper, cut, prefix or blank",
    ),
    "list_ends": Kind(
        stage="list", routes=LISTS, value="4", says="a list ends after so many runs, without `next`"
    ),
    "list_no_filter": Kind(stage="list", routes=LISTS, says="400 to any `q`"),
    "list_ignores_filter": Kind(stage="list", routes=LISTS, says="lists as if `q` were not there"),
    "list_empty_on_filter": Kind(stage="list", routes=LISTS, says="an empty page to any `q`"),
    "page_cap": Kind(
        stage="list", routes=API, value="10", says="pages of at most so many, whatever the limit"
    ),
    "crowd": Kind(
        stage="list",
        routes=LISTS,
        value="50",
        says="so many runs of the organisation's other work begin before each list without `q`",
    ),
    "next_pq": Kind(
        stage="list", routes=API, says="pages carry `next_pq` and `prev_pq`, not the other names"
    ),
    "forget_run": Kind(
        stage="run", routes=RUNS, says="404 for the run, and no list or batch shows it"
    ),
    "stuck_queued": Kind(stage="run", routes=RUNS, says="the run stays queued"),
    "unknown_status": Kind(
        stage="run", routes=RUNS, value="warming_up", says="a running run is shown with this word"
    ),
    "spelling": Kind(
        stage="run", routes=RUNS, value="cancelled", says="how a cancelled run is spelled"
    ),
    "old_output": Kind(stage="run", routes=RUNS, says="`{image_urls: […]}` for the output"),
    "data_output": Kind(stage="run", routes=RUNS, says="a `data:` URL for each output's URL"),
    "leave_out": Kind(
        stage="run", routes=RUNS, value="metadata", says="runs are shown without this field"
    ),
    "https_only": Kind(
        stage="create", routes=CREATES, says="422 to an input with `runflow://…`, as of old"
    ),
    "forget_asset": Kind(
        stage="asset", routes=ASSETS, says="404 for the asset, and no input may refer to it"
    ),
    "upload_expired": Kind(
        stage="put", routes=frozenset({"put"}), says="403 to the bytes of a file, as after expiry"
    ),
    "output_expired": Kind(stage="download", routes=DOWNLOADS, says="403, as after expiry"),
    "output_cut": Kind(
        stage="download", routes=DOWNLOADS, says="half the bytes, the whole length announced"
    ),
    "callback_lost": Kind(
        stage="callback", routes=CALLBACKS, says="no callback is sent, and the history has none"
    ),
    "callback_late": Kind(
        stage="callback", routes=CALLBACKS, value="5", says="sent so many seconds after the end"
    ),
    "callback_reorder": Kind(
        stage="callback",
        routes=CALLBACKS,
        value="5",
        says="sent at any moment of so many seconds after the end, so that others overtake it",
    ),
    "callback_twice": Kind(
        stage="callback",
        routes=CALLBACKS,
        says="the first answer to the callback is lost, and it is sent again at once",
    ),
    "callback_forged": Kind(
        stage="callback",
        routes=CALLBACKS,
        says="signed with a secret that isn't the organisation's",
    ),
    "callback_unsigned": Kind(
        stage="callback", routes=CALLBACKS, says="not signed, though there is a secret"
    ),
    "callback_stranger": Kind(
        stage="callback", routes=CALLBACKS, says="about a run, or a batch, that isn't there"
    ),
    "callback_lies": Kind(
        stage="callback", routes=CALLBACKS, says="says that it failed, however it ended"
    ),
}


UNTOUCHED: Final = frozenset({"control", "download", "put", "health", "readiness", "elsewhere"})
"""The simulator's own routes and public ones stay up unless they are named."""

ROUTES: Final = frozenset(
    [
        "any",
        "call",
        "call_batch",
        "create",
        "create_batch",
        "get",
        "list",
        "models",
        "model",
        "public_models",
        "statuses",
        "logs",
        "node_runs",
        "callback",
        "redeliver",
        "cancel",
        "batch",
        "batch_items",
        "batch_item",
        "batch_callback",
        "batch_redeliver",
        "upload",
        "put",
        "confirm",
        "asset",
        "secret",
        "balance",
        "auth",
        "health",
        "readiness",
        "download",
        "workflow_runs",
    ]
)

WORDS: Final = {"list_refs": ("upper", "cut", "prefix", "blank")}
"""Faults whose value is one of a few words."""
