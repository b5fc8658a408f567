"""What the service itself says of status words that we don't know; it is asked once in a call.

A run with an unknown word counts as open: taken for over it would be paid again. So an end whose
word is new is waited for until `timeout`, in each call anew. `GET /v1/runs/statuses` lists the
words, and may say which are ends (runflow-api.md, section 5; its shape is not documented).

**An end with an unknown word is never a success, and never an end that a further attempt follows.**
It may have been billed. Where the run shows files it partly succeeded, so that they are saved; else
it counts as cancelled. Both are final.
"""

from collections.abc import Mapping
from typing import Final

import anyio
from msgspec.structs import replace

from batchrun.base.progress import Notices, Progress
from batchrun.errors import BatchrunError
from batchrun.ledger.history import State
from batchrun.runflow.client import Client
from batchrun.runflow.outputs import output_files
from batchrun.runflow.statuses import NO_WORD
from batchrun.runflow.wire import Run

LONGEST: Final = 10.0
"""Seconds that the answer may take; until then no run with an unknown word is parked."""

UNKNOWN: Final = "the service says a run is {word!r}, a status this batchrun doesn't know"
AN_END: Final = (
    "the service lists the status {word!r} as an end: such runs count as cancelled, or as partly "
    "succeeded where they show files; they may be billed, and are not run again"
)
NO_END: Final = "the service lists the status {word!r} as no end: such runs are waited for"
REASON: Final = "its status is {word!r}, which the service lists as an end; it may be billed"


class StatusWords:
    """Asks for the words once one is met that isn't known, and reads runs by them."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._notices = Notices(progress)
        self._ends: Mapping[str, bool] | None = None
        self._met = anyio.Event()

    def meet(self, run: Run) -> None:
        """Say once for each word that we don't know it, and have the service asked."""
        if not run.known:
            self._notices.once(run.status_code, UNKNOWN.format(word=run.status_code))
            if run.status_code != NO_WORD:
                self._met.set()

    def read(self, run: Run) -> Run:
        """Return *run*: as one that has ended, where only the service's own list says so."""
        self.meet(run)
        ends = None if run.known else (self._ends or {}).get(run.status_code)
        if ends is None:
            return run
        message = (AN_END if ends else NO_END).format(word=run.status_code)
        self._notices.once(message)
        return _ended(run) if ends else run

    def is_asked(self, run: Run) -> bool:
        """Say whether the answer is still to come that may say of *run* that it has ended."""
        return not run.known and self._met.is_set() and self._ends is None

    async def run(self) -> None:
        """Ask once, when the first unknown word is met; what fails means nothing."""
        await self._met.wait()
        ends: Mapping[str, bool] = {}
        try:
            with anyio.move_on_after(LONGEST):
                ends = await self._client.status_ends()
        except BatchrunError as error:
            self._client.log(f"the list of statuses can't be had: {error}")
        self._ends = ends


def _ended(run: Run) -> Run:
    partly = any(file.url for file in output_files(run.output))
    return replace(
        run,
        status_code=str(State.PARTIAL_SUCCEEDED if partly else State.CANCELLED),
        failure_message=run.failure_message or REASON.format(word=run.status_code),
    )
