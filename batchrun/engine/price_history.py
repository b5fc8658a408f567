"""Learns what runs have cost: from the sweep's own ledger, and from those of its siblings.

Siblings are the sweeps of the same place and endpoint: other labels of this name, other names
(rule 31 of the contract). Of their ledgers the newest are read, and of these the ends: a price that
isn't found there is shown by the first run of its choice.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchrun.engine.prices import NEWEST, Prices
from batchrun.ledger.scan import costs_by_choice
from batchrun.sweep.location import LEDGER, name_folder

Costs = Mapping[str, Sequence[Decimal]]

MOST_SIBLINGS: Final = 32
MOST_OF_ALL: Final = 16 << 20
"""Bytes of all siblings together: about half a second's work."""


def siblings(folder: Path) -> Sequence[Path]:
    """Return the newest ledgers of other sweeps of the same place and endpoint, the newest last."""
    place = name_folder(folder).parent
    found = heapq.nlargest(MOST_SIBLINGS, _ledgers(place, without=folder))
    return [path for _, path in reversed(found)]


def _ledgers(place: Path, *, without: Path) -> Iterator[tuple[int, Path]]:
    """Yield the time and the path of each ledger; what can't be looked at isn't there."""
    with suppress(OSError):
        for sweep in place.iterdir():
            if sweep.name.startswith("@"):  # another endpoint's
                continue
            for folder in (sweep, *sweep.glob("@*")):
                with suppress(OSError):
                    if folder != without:
                        yield (folder / LEDGER).stat().st_mtime_ns, folder / LEDGER


def learn(path: Path, prices: Prices, models: Collection[str]) -> None:
    """Take in what runs of *models* have cost by the ledger at *path*, and by its siblings."""
    for each in learnt(path, prices, models):
        prices.learn_all(each)


def learnt(path: Path, prices: Prices, models: Collection[str]) -> Iterator[Costs]:
    """Yield what runs of *models* have cost by choice: siblings first, the sweep's own last.

    Raises OSError where its own ledger can't be read. A sibling that can't be is passed over.
    """

    def choice_of(model: str, inputs: Mapping[str, Any]) -> str | None:
        return prices.choice(model, inputs) if model in models else None

    for sibling in siblings(path.parent):
        with suppress(OSError, ValueError):
            most = MOST_OF_ALL // MOST_SIBLINGS
            yield costs_by_choice(sibling, choice_of, newest=NEWEST, most_bytes=most)
    if path.exists():
        yield costs_by_choice(path, choice_of, newest=NEWEST)
