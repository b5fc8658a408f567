"""How a simulator is set up; what can be changed while it runs is in `faults` (pure)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from batchrun.simulator.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be chosen at the start.

    *speed* divides all durations of runs. *balance* is USD before any run, None never runs out.
    *key* is the one key accepted, None accepts any. *rate* is requests a second before a 429,
    at most *burst* at once; *rate_headers* sends the old documents' headers. *url_life* is how many
    seconds an output's URL works. *failure_share* of the runs fail without being asked to. *wishes*
    says for the n-th run, from 1, what its `metadata.simulate` would.
    *idempotency* honours the Idempotency-Key. *batches* says which models take them: all, some (as
    documented) or none. *refuse_bad_items* answers 422 to a batch with an item that doesn't suit
    the model, instead of letting that item fail. *child_metadata* puts a batch's metadata on its
    runs. *callback_secret* signs callbacks of every organisation until another secret is current;
    without one they are unsigned. *kept_bytes* is how much of uploaded files is kept. *assumed*
    serves the routes that no document names. Without *drawing* each output is one pixel: a thread
    draws, and virtual time has none.
    """

    seed: int = 0
    speed: float = 1.0
    balance: Decimal | None = None
    key: str | None = None
    rate: float | None = None
    burst: int = 1
    rate_headers: bool = False
    page_cap: int = 500
    url_life: float = 86_400.0
    failure_share: float = 0.0
    wishes: Callable[[int], Mapping[str, Any]] | None = None
    idempotency: bool = True
    batches: Literal["all", "some", "none"] = "some"
    refuse_bad_items: bool = False
    child_metadata: bool = False
    callback_secret: str | None = None
    kept_bytes: int = 64 * 2**20
    assumed: bool = False
    drawing: bool = True
    faults: tuple[Fault, ...] = ()
