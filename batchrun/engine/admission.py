"""The models whose runs the account is not let begin: a 402 or a 403 to a single run. Pure.

What one model costs may be too much while another still fits, and a key may be permitted to run one
model and not another. So such a model stops alone. A second model with the same answer, or the only
one, shows that it is the account or the key: then no further run is asked for (rule 15 of the
contract; it names 402, and a 403 is read in the same way).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from batchrun.base.text import listed, number_of
from batchrun.errors import NotPermittedError, OutOfCreditError

NotAdmitted = OutOfCreditError | NotPermittedError


class Admission:
    """Remembers which of *models*, by id, were not let begin a run, and why."""

    def __init__(self, models: AbstractSet[str]) -> None:
        self._models = models
        self._unpaid: dict[str, str] = {}  # and how the service put it
        self._forbidden: dict[str, str] = {}
        self._left: Counter[tuple[str, str]] = Counter()

    def is_stopped(self, model: str) -> bool:
        """Say whether no further run of *model* is asked for."""
        return model in self._unpaid or model in self._forbidden

    def refused(self, model: str, error: NotAdmitted) -> NotAdmitted | None:
        """Stop *model*; return the reason to stop submitting, None while others may go on."""
        forbidden = isinstance(error, NotPermittedError)
        stopped = self._forbidden if forbidden else self._unpaid
        stopped.setdefault(model, str(error))
        if len(stopped) > 1 or self._models <= {model}:
            return _not_permitted(stopped) if forbidden else error
        return None

    def leave(self, model: str, alias: str) -> None:
        """Count a cell of *model* that is left undone for it."""
        self._left[model, alias] += 1

    def at_end(self) -> Sequence[NotAdmitted]:
        """Return why cells were left undone; nothing where none was."""
        found: list[NotAdmitted] = []
        if self._forbidden:
            found.append(_not_permitted(self._forbidden, self._undone(self._forbidden)))
        if self._unpaid:
            found.append(OutOfCreditError(f"{_each(self._unpaid)}{self._undone(self._unpaid)}"))
        return found

    def _undone(self, stopped: Mapping[str, str]) -> str:
        left = {alias: n for (model, alias), n in self._left.items() if model in stopped}
        cells = listed(f"{number_of(n, 'cell')} of {alias}" for alias, n in left.items())
        return f"; {cells} are left undone" if cells else ""


def _not_permitted(forbidden: Mapping[str, str], undone: str = "") -> NotPermittedError:
    return NotPermittedError(f"{_each(forbidden)}{undone}", models=tuple(forbidden))


def _each(stopped: Mapping[str, str]) -> str:
    return listed((f"{model}: {why}" for model, why in stopped.items()), by="; ")
