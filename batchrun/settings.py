"""What one call of batchrun shall do: the manifest's limits, overridden by the command line."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct, field

from batchrun.base.values import FailOn, Rate

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
    budget: Decimal | None = None
    download: bool = True
    model_concurrency: Mapping[str, int] = field(default_factory=dict)
    wave_size: int | None = None
    limit: int | None = None
    max_duration: float | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    retry_failed: bool = False
    fail_on: FailOn = ANY
    drain: bool = False
    trust_key: bool = False
    resubmit_in_doubt: bool = False
