"""What the account is not let begin: a 402 or a 403 to a single run, or to a file's upload. Pure.

What one model costs may be too much while another still fits, and a key may be permitted to run one
model and not another. So such a model stops alone. A second model with the same answer, or the only
one, shows that it is the account or the key: then no further run is asked for (rule 15 of the
contract; it names 402, and a 403 is read in the same way).

Where no file can be put at the service, cells that need one put there stop, whatever their model;
others go on. It is no word on runs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from batchrun.base.text import listed, number_of
from batchrun.errors import NotPermittedError, OutOfCreditError, UnreachableError

NotAdmitted = OutOfCreditError | NotPermittedError
NoFiles = NotAdmitted | UnreachableError


class Admission:
    """Remembers which of *models*, by id, were not let begin a run, and why; and so of files."""

    def __init__(self, models: AbstractSet[str]) -> None:
        self._models = models
        self._unpaid: dict[str, str] = {}  # and how the service put it
        self._forbidden: dict[str, str] = {}
        self._said: set[type[NotAdmitted]] = set()  # what has ended the submitting
        self._left: Counter[tuple[str, str]] = Counter()
        self._no_files: NoFiles | None = None
        self._without_files: Counter[str] = Counter()

    def is_stopped(self, model: str) -> bool:
        """Say whether no further run of *model* is asked for."""
        return model in self._unpaid or model in self._forbidden

    @property
    def takes_files(self) -> bool:
        """Whether files may still be put at the service."""
        return self._no_files is None

    def refused(self, model: str, error: NotAdmitted) -> NotAdmitted | None:
        """Stop *model*; return the reason to stop submitting, None while others may go on."""
        forbidden = isinstance(error, NotPermittedError)
        stopped = self._forbidden if forbidden else self._unpaid
        stopped.setdefault(model, str(error))
        if len(stopped) > 1 or self._models <= {model}:
            self._said.add(type(error))
            return _not_permitted(stopped) if forbidden else error
        return None

    def leave(self, model: str, alias: str) -> None:
        """Count a cell of *model* that is left undone for it."""
        self._left[model, alias] += 1

    def stop_files(self, error: NoFiles) -> None:
        """Have no further file put at the service in this call; the first reason counts."""
        self._no_files = self._no_files or error

    def leave_without_files(self, alias: str) -> None:
        """Count a cell that is left undone since a file of it can't be put at the service."""
        self._without_files[alias] += 1

    def at_end(self, *, counted: bool) -> Sequence[NoFiles]:
        """Return why cells were left undone, as far as it isn't said; nothing where none was.

        *counted*: the call came to all its cells, so that all that were left are counted.
        """
        found: list[NoFiles] = []
        if self._forbidden and NotPermittedError not in self._said:
            undone = self._undone(self._forbidden) if counted else ""
            found.append(_not_permitted(self._forbidden, undone))
        if self._unpaid and OutOfCreditError not in self._said:
            undone = self._undone(self._unpaid) if counted else ""
            found.append(OutOfCreditError(f"{_each(self._unpaid)}{undone}"))
        if self._no_files is not None:
            undone = _spelled(self._without_files) if counted else ""
            found.append(type(self._no_files)(f"no file is uploaded: {self._no_files}{undone}"))
        return found

    def _undone(self, stopped: Mapping[str, str]) -> str:
        return _spelled({alias: n for (model, alias), n in self._left.items() if model in stopped})


def _spelled(left: Mapping[str, int]) -> str:
    cells = listed(f"{number_of(n, 'cell')} of {alias}" for alias, n in left.items())
    are = "is" if sum(left.values()) == 1 else "are"
    return f"; {cells} {are} left undone" if cells else ""


def _not_permitted(forbidden: Mapping[str, str], undone: str = "") -> NotPermittedError:
    return NotPermittedError(f"{_each(forbidden)}{undone}", models=tuple(forbidden))


def _each(stopped: Mapping[str, str]) -> str:
    return listed((f"{model}: {why}" for model, why in stopped.items()), by="; ")
