"""The models for which the account has no credit left: a 402 to a single run. Pure.

What one model costs may be too much while another still fits, so the model stops alone. The second
model that is refused, or the only one, shows that the account is empty (rule 15 of the contract).
"""

from collections import Counter
from collections.abc import Set as AbstractSet

from batchrun.base.text import number_of
from batchrun.errors import OutOfCreditError


class Credit:
    """Remembers which of *models*, by id, were refused for want of credit."""

    def __init__(self, models: AbstractSet[str]) -> None:
        self._models = models
        self._stopped: dict[str, str] = {}  # and how the service put it
        self._left: Counter[str] = Counter()

    def is_stopped(self, model: str) -> bool:
        """Say whether no further run of *model* is asked for."""
        return model in self._stopped

    def refused(self, model: str, error: OutOfCreditError) -> OutOfCreditError | None:
        """Stop *model*; return the reason to stop submitting, None while others may go on."""
        self._stopped.setdefault(model, str(error))
        if len(self._stopped) > 1 or self._models <= {model}:
            return error
        return None

    def leave(self, alias: str) -> None:
        """Count a cell that is left undone for it."""
        self._left[alias] += 1

    def at_end(self) -> OutOfCreditError | None:
        """Return why cells were left undone; None where none was."""
        if not self._stopped:
            return None
        refused = "; ".join(f"{model}: {why}" for model, why in self._stopped.items())
        cells = ", ".join(f"{number_of(n, 'cell')} of {each}" for each, n in self._left.items())
        return OutOfCreditError(f"{refused}{f'; {cells} are left undone' if cells else ''}")
