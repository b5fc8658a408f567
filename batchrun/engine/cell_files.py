"""The files of a cell on their way to the service, and what becomes of a cell whose files aren't.

Nothing of such a cell was written or sent, so it costs nothing, and a later call takes it up as it
is: unless the service refuses the file itself, as it would again. Runs in flight go on.
"""

from collections import Counter

from batchrun.base.progress import Notices
from batchrun.engine.admission import Admission
from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt
from batchrun.engine.transitions import Transitions
from batchrun.engine.uploader import NoFilesError, Uploader
from batchrun.errors import KeyRefusedError
from batchrun.runflow.assets import ChangedFileError, FailedUploadError, RefusedFileError


class CellFiles:
    """Puts the files of cells by *uploads*, and gives back the slots of those that it can't put."""

    def __init__(
        self,
        context: Context,
        *,
        transitions: Transitions,
        uploads: Uploader,
        admission: Admission,
    ) -> None:
        self._transitions = transitions
        self.uploads = uploads
        self._admission = admission
        self._shutdown = context.shutdown
        self._unsent: Counter[str] = context.shutdown.unsent
        self._notices = Notices(context.progress)

    async def put(self, attempt: Attempt) -> RefusedFileError | None:
        """Have the attempt wait for a request once its files are there, or withdraw it.

        A file that the service refuses is returned, and the attempt is left as it was. Raises
        UnreachableError where the API is out of reach.
        """
        assert attempt.cell is not None
        try:
            self._transitions.ready(attempt, await self.uploads.resolve(attempt.cell))
        except RefusedFileError as error:
            return error
        except NoFilesError:
            self._transitions.withdraw(attempt)
            self._admission.leave_without_files(attempt.alias)
        except KeyRefusedError as error:
            self._transitions.withdraw(attempt)
            self._shutdown.submit_no_more(error)  # as where the POST of a run is refused so
        except ChangedFileError as error:
            self._leave_out(attempt, f"{error}; the next call takes it as it is then")
        except FailedUploadError as error:
            self._leave_out(attempt, f"{error}; the next call tries again")
        return None

    def _leave_out(self, attempt: Attempt, why: str) -> None:
        """Leave a cell to the next call: its file can't be sent, or is not what it was."""
        self._transitions.withdraw(attempt)
        self._unsent[why] += 1
        self._notices.once(why)
