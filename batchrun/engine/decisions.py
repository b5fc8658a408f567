"""The decisions about a send that got no clear answer, by the evidence. Pure.

A crash and a lost answer come to the same question, and get the same answer: an attempt has an
intent, and it is not known whether it has a run. Where the service shows its run, the run is
adopted. This module decides what becomes of an attempt whose run the service doesn't show.

**What was asked for once is asked for again only if it is certain that no run exists, and then only
byte for byte, and only if this call is about its cell.** In each other case a person decides, with
`--resubmit-in-doubt`. A doubt that earlier calls had left was sent again, once, whichever cells a
call was about.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct

from batchrun.engine.in_flight import Attempt
from batchrun.engine.waves import Wave

MOST_SENDS: Final = 5
"""Sends of one intent in one call; the API's documents advise no more than five tries."""

DECIDED: Final = "begun anew by --resubmit-in-doubt, whether a run exists or not"
GONE: Final = "no run exists, and the manifest no longer names the cell"
MOVED: Final = "no run exists, and its end is to be announced elsewhere by now"
IN_PART: Final = "no run exists, and not all of its batch is wanted"
CONFLICT: Final = (
    "the service answered 409 and shows no run; look at the service, then decide "
    "with --resubmit-in-doubt"
)
LOST_ITEM: Final = (
    "the service has its batch, and shows no run for it; look at the service, then decide with "
    "--resubmit-in-doubt"
)


class Action(Enum):
    """The decisions for the attempts of one request."""

    ASK_BATCH = "the batch exists: it shows its items"
    CONCLUDE = "file the refusal that waited for proof that no run exists"
    DROP = "write that no run exists"
    PARK = "leave it to a later call"
    BEGIN_ANEW = "write that no run exists, and have the cells drawn again"
    SEND_AGAIN = "send the same bytes again"


class Decision(Struct, frozen=True):
    """The decision for *attempts*, which share a request, and its reason."""

    action: Action
    attempts: Sequence[Attempt]
    reason: str = ""


class Policy(Struct, frozen=True):
    """The rights of a call: whether it still submits, and whether its user took the risk.

    *callback_url* is where it has ends announced, None where it doesn't.
    """

    submitting: bool
    resubmit: bool
    callback_url: str | None = None


def requests_in_doubt(wave: Wave, doubts: Iterable[Attempt]) -> list[list[Attempt]]:
    """Return the attempts in doubt by request: each alone, or all of a batch."""
    doubts = [attempt for attempt in doubts if attempt.unresolved]
    if not wave.batch:
        return [[attempt] for attempt in doubts]
    return [sorted(doubts, key=_index)] if doubts else []


def decide(
    wave: Wave, request: Sequence[Attempt], policy: Policy, *, unclear: str | None = None
) -> list[Decision]:
    """Return what becomes of a request for which the service shows no run.

    *unclear* is why that doesn't prove that there is none; None where it does.
    """
    if wave.seen and wave.batch:  # the batch was taken, even if the list shows no run
        if unclear is None:
            return [Decision(Action.ASK_BATCH, request)]
        return [Decision(Action.PARK, request, unclear)]
    if unclear is None:
        return [_certain(wave, request, policy)]
    return _uncertain(wave, request, policy, unclear)


def decide_lost_items(lost: Sequence[Attempt], policy: Policy) -> list[Decision]:
    """Return what becomes of items that their batch, which exists, doesn't show."""
    return _wanted_anew(lost, policy, LOST_ITEM)


def _certain(wave: Wave, request: Sequence[Attempt], policy: Policy) -> Decision:
    """No run exists, unless the service commits later than it may."""
    first = request[0]
    if first.verdict is not None:
        return Decision(Action.CONCLUDE, request)
    if all(attempt.cell is None for attempt in request) and not first.conflicted:
        return Decision(Action.DROP, request, GONE)
    if (why := _reason_to_wait(request, policy)) is not None:
        return Decision(Action.PARK, request, why)
    if not _is_whole(wave, request):
        return Decision(Action.BEGIN_ANEW, request, IN_PART)
    if _is_moved(first, policy):
        return Decision(Action.BEGIN_ANEW, request, MOVED)
    return Decision(Action.SEND_AGAIN, request)


def _is_moved(attempt: Attempt, policy: Policy) -> bool:
    """Say whether the manifest has another address for callbacks than the request (rule 40).

    Where only one of them has any, the same bytes do no harm, and keep their key.
    """
    return None not in {attempt.callback_url, policy.callback_url} and (
        attempt.callback_url != policy.callback_url
    )


def _uncertain(
    wave: Wave, request: Sequence[Attempt], policy: Policy, unclear: str
) -> list[Decision]:
    if not _is_whole(wave, request):
        return _wanted_anew(request, policy, unclear)
    if policy.resubmit and policy.submitting and request[0].sends < MOST_SENDS:
        return [Decision(Action.SEND_AGAIN, request)]
    return [Decision(Action.PARK, request, unclear)]


def _wanted_anew(request: Sequence[Attempt], policy: Policy, reason: str) -> list[Decision]:
    """Begin anew what of a batch is wanted, where that was decided; park the rest."""
    may = policy.resubmit and policy.submitting
    wanted = [a for a in request if may and a.selected and a.cell is not None]
    rest = [attempt for attempt in request if attempt not in wanted]
    anew = [Decision(Action.BEGIN_ANEW, wanted, DECIDED)] if wanted else []
    return [*anew, Decision(Action.PARK, rest, reason)] if rest else anew


def _reason_to_wait(request: Sequence[Attempt], policy: Policy) -> str | None:
    """Return why a request is not to be sent again in this call, None if it may be."""
    if request[0].conflicted:
        return CONFLICT
    if not any(attempt.selected for attempt in request):
        return "no run exists yet, and this call is about other cells"
    if not policy.submitting:
        return "no run exists yet, and submitting has stopped"
    if request[0].sends >= MOST_SENDS:
        return f"{request[0].sends} sends got no clear answer"
    return None


def _is_whole(wave: Wave, request: Sequence[Attempt]) -> bool:
    """Say whether all that a request asked for is still to be asked for."""
    return len(request) == max(1, wave.batch) and all(
        attempt.cell is not None and attempt.selected for attempt in request
    )


def _index(attempt: Attempt) -> int:
    return attempt.index or 0
