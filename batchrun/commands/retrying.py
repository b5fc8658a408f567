"""`--retry-failed`: what it sends again, what that may cost, and what it leaves out.

It is said before anything is sent, and asked about above `limits.confirm_above`. The ledger is held
meanwhile: what was said is what is sent.
"""

import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from msgspec import Struct

from batchrun.base.said import log
from batchrun.base.text import for_terminal, number_of, usd
from batchrun.commands.call import Call
from batchrun.commands.confirm import confirm
from batchrun.commands.knowing_models import Known
from batchrun.commands.plan_table import total
from batchrun.commands.preview import price_list
from batchrun.commands.run_options import Options
from batchrun.engine.selection import Selection
from batchrun.ledger.failure_codes import FailureClass
from batchrun.ledger.history import BAD, History, State, grant, left_out
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import Readable
from batchrun.ledger.records import Finished, Rejected, reason
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.planning.to_do import ToDo

MOST_NAMED: Final = 5
"""Codes of what is left out that are named."""


class Retry(Struct, frozen=True, kw_only=True):
    """The cells that are tried again, by how they ended, and why others are *left_out*; *codes*
    are of these.
    """

    ended: Counter[State]
    to_do: ToDo
    left_out: Counter[FailureClass]
    codes: Counter[str]

    @property
    def cost(self) -> Decimal | None:
        """What it costs if each cell succeeds, in USD: failed runs are free. None: not known."""
        cost = self.to_do.cost()
        return None if cost.unknown else cost.expected

    def lines(self) -> Iterator[str]:
        """Say what is tried again, and what is not."""
        if self.ended:
            parts = ", ".join(f"{self.ended[state]} {state}" for state in sorted(self.ended))
            cells = number_of(self.ended.total(), "cell")
            cost = total(self.to_do.cost()) or ", at a cost that is not known"
            yield f"`--retry-failed` tries {cells} again ({parts}){cost}"
        if self.left_out:
            parts = " and ".join(f"{self.left_out[why]} {LEFT_OUT[why]}" for why in self.left_out)
            yield f"`--retry-failed` leaves out {parts}; `{self._naming()}` tries these once more"

    def _naming(self) -> str:
        codes = [code.replace(",", "\\,") for code, _ in self.codes.most_common(MOST_NAMED)]
        more = [] if len(self.codes) <= MOST_NAMED else ["…"]
        only = shlex.quote(f"code={','.join([*codes, *more])}")
        return for_terminal(f"--retry-failed --only {only}")


LEFT_OUT: Final = {
    FailureClass.MODERATED: "moderated",
    FailureClass.INPUT: "failed for the input",
}


def retry_of(call: Call, ledger: Readable, known: Known) -> Retry:
    """Return what a call with `--retry-failed` tries again, by the ledger as it is now."""
    bad = list(_bad_cells(call, ledger))
    settings = call.settings
    to_do = ToDo(price_list(call, known))
    ended: Counter[State] = Counter()
    left: Counter[FailureClass] = Counter()
    codes: Counter[str] = Counter()
    for cell, history in bad:
        if grant(history, attempts=settings.attempts, named=settings.names_codes):
            to_do.add(cell)
            ended[history.state] += 1
        elif (why := left_out(history)) is not None:
            left[why] += 1
            line = ledger.read(history.ended_line)
            assert isinstance(line, Finished | Rejected)
            codes[reason(line)[0]] += 1
    return Retry(ended=ended, to_do=to_do, left_out=left, codes=codes)


def _bad_cells(call: Call, ledger: Readable) -> Iterator[tuple[Cell, History]]:
    """Yield the cells of the call that ended badly, each once."""
    book, settings = ledger.book, call.settings
    if not any(each.state in BAD for each in book.histories.values()):
        return
    selection, seen = Selection(settings.only, ledger, attempts=settings.attempts), KeyIndex()
    for cell in expand(call.manifest):
        history = book.history(cell.key)
        if history.state in BAD and selection.wants(cell) and seen.add(cell.key)[1]:
            yield cell, history


def confirm_retry(call: Call, options: Options, ledger: Readable, known: Known) -> None:
    """Say what `--retry-failed` tries again, and what it may cost; ask above the sum that was set.

    A cost that is not known counts as above it. Raises UsageError where the answer is no, or where
    no terminal can be asked.
    """
    above = call.settings.confirm_above
    if not call.settings.retry_failed or (options.quiet and above is None):
        return
    retry = retry_of(call, ledger, known)
    dear = above is not None and (retry.cost is None or retry.cost > above)
    question = dear and not options.yes
    if question or not options.quiet:
        for line in retry.lines():
            log(line, sys.stderr)
    if question and above is not None:
        limit = f"{usd(above)} USD of `limits.confirm_above`"
        if retry.cost is None:
            costs = f"the cost of trying these again is not known, and counts as above the {limit}"
        else:
            costs = f"trying these again costs about {usd(retry.cost)} USD, above the {limit}"
        confirm(f"{costs}; try them again?", unasked=costs, asks=options.asks)
