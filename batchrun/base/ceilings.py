"""The most that may be asked for of each thing that is counted. Pure.

A count without a ceiling costs no money, and all the time and memory there is: a `repeat` that was
mistyped as twenty digits was walked for ever. Each ceiling is far above what a service takes or a
disk holds, so that it only stops what can't be meant. They are in docs/manifest.md, in the schema,
and in the messages.
"""

from typing import Final

MOST_CELLS: Final = 100_000_000
"""Cells of a manifest, points that come to one cell counted apart; what `--limit` may say."""

MOST_POINTS: Final = 1_000_000_000
"""Points of one product before `sample` draws from it; values of one `$range`."""

MOST_SPACED: Final = 100_000
"""Values of one `$range` that has a count: each is worked out by itself."""

MOST_DRAWN: Final = 10_000_000
"""Points that a `sample` draws: all of them are held."""

MOST_HELD: Final = 1_000_000
"""Values of a list that is no axis: of a `zip`, of an `exclude`, inside a value."""

MOST_REPLICATES: Final = 1_000_000
"""Replicates of a cell."""

MOST_IN_FLIGHT: Final = 10_000
"""Runs in flight: the service's own limits are far below (runflow-api.md)."""

MOST_ATTEMPTS: Final = 1_000
"""Runs of a cell that may end failed: each may be paid for."""

MOST_DOWNLOADS: Final = 1_000
"""Files that are fetched at once: each has a connection and an open file."""

MOST_USD: Final = 1_000_000_000
"""US dollars of a budget or a price."""

LONGEST_DAYS: Final = 3_650
"""The longest time, in days: a longer one can't be added to each date of the calendar."""

FASTEST: Final = 1_000_000
"""Calls a second that a rate may allow; it allows one an hour at least."""
