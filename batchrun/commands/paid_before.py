"""What a plan says of cells that are paid already, and that the ledger here doesn't know.

Sweeps of the same name that were begun elsewhere, sweeps that lie beside this one, and results that
were taken over once and are lost. For each of these a call would be refused, or pay again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
from msgspec import Struct
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR
from batchrun.base.text import few, money
from batchrun.commands.beside import Beside, find_beside
from batchrun.commands.beside import refusal as refusal_beside
from batchrun.commands.call import Call, key_of
from batchrun.commands.connection import connected
from batchrun.commands.reusing import Taking, lost_reuse, no_reuse
from batchrun.commands.target import name_recover
from batchrun.engine.other_sweeps import (
    Elsewhere,
    OtherSweep,
    all_counted,
    find,
    of_cells,
    refusal,
)
from batchrun.errors import BatchrunError
from batchrun.ledger.book import Book
from batchrun.ledger.records import timestamp

PATIENCE: Final = 5.0
"""Seconds that a plan waits for a service that gives no good answer: it can do without."""

LONGEST: Final = 20.0
"""Seconds that the whole look-up may take, where a request hangs."""


class PaidBefore(Struct, frozen=True, kw_only=True):
    """*elsewhere* is what the service shows, *beside* what other folders have.

    *unseen* is why the service may have more.
    """

    elsewhere: Elsewhere
    unseen: str
    beside: Sequence[Beside]
    book: Book
    taking: Taking

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON; each is None where there is nothing."""
        return {
            "elsewhere": _as_dicts(self.elsewhere.sweeps),
            "beside": tuple(each.as_dict() for each in self.beside) or None,
        }

    def lines(self, call: Call, command: str) -> list[str]:
        """Return what people read; *command* is the call that the plan is of."""
        notes = few(each.note() for each in self.beside if not each.same)
        return [*self.refusals(call, command), *notes]

    def refusals(self, call: Call, command: str) -> list[str]:
        """Return the reasons why the call itself would be refused."""
        said = []
        if self.elsewhere.sweeps or self.elsewhere.unclear:
            error = refusal(self.elsewhere.sweeps, self.elsewhere.unclear)
            name_recover(error, call.recover_command, again=command)
            said.append(str(error))
        same = (each for each in self.beside if each.same)
        said += few(str(refusal_beside(each, call, command)) for each in same)
        lost = lost_reuse(call.folder, self.book, command, self.taking)
        refused = no_reuse(call, self.book, self.taking, command)
        return [*said, *(str(each) for each in (lost, refused) if each is not None)]


def paid_before(call: Call, book: Book, taking: Taking) -> PaidBefore:
    """Return what is paid already, but for what the call is *taking* over."""
    elsewhere, unseen = begun_elsewhere(call, book, taking)
    return PaidBefore(
        elsewhere=elsewhere,
        unseen=unseen,
        beside=find_beside(call, book, taking),
        book=book,
        taking=taking,
    )


def begun_elsewhere(call: Call, book: Book, taking: Taking) -> tuple[Elsewhere, str]:
    """Return what a call would be refused for, and why there may be more; the call asks again."""
    key, nothing = key_of(call.endpoint), Elsewhere()
    if book.past_opening or key is None or call.endpoint == SIMULATOR:
        return nothing, ""
    try:
        found = anyio.run(_begun_elsewhere, call, key, {*_ours(book), *taking.of})
    except BatchrunError as error:
        why = str(error)
    except TimeoutError:
        why = f"no answer within {LONGEST:.0f} s"
    else:
        return found, found.unseen
    return nothing, f"whether this sweep was begun elsewhere could not be asked: {why}"


def _ours(book: Book) -> set[str]:
    """Return the sweeps that are known here: this one, and those set aside or taken over from."""
    return {*book.reused, *({book.sweep.sweep, *book.sweep.after} if book.sweep else ())}


async def _begun_elsewhere(call: Call, key: str, ours: set[str]) -> Elsewhere:
    patient = replace(call.settings, give_up=min(call.settings.give_up, PATIENCE))
    with anyio.fail_after(LONGEST):
        async with connected(call.endpoint, key, patient, log=lambda _: None) as client:
            found = await find(client, call.manifest.name, call.place.label)
            others = found.but({*ours, *call.settings.set_aside})
            common = await of_cells(await all_counted(client, others), call.manifest)
            return replace(others, sweeps=tuple(common))


def _as_dicts(others: Sequence[OtherSweep]) -> tuple[Mapping[str, Any], ...] | None:
    """Return them for JSON; None where there is none."""
    return (
        tuple(
            {
                "sweep": each.id,
                "runs": len(each.runs),
                "since": None if each.since is None else timestamp(each.since),
                "cost": money(each.cost),
            }
            for each in others
        )
        or None
    )
