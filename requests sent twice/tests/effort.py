"""How much a test does by default, and how much at night."""

import os
from typing import Final

FACTOR: Final = float(os.environ.get("BATCHRUN_EXAMPLES", "0.25"))
"""Of the examples that a property is worth: a quarter for each commit, several times at night."""


def examples(number: int) -> int:
    """Return how many examples a property that is worth *number* draws in this run."""
    return max(20, round(number * FACTOR))
