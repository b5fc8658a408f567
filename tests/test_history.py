from copy import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import EACH, finished, intent, saved, submitted

from batchrun.ledger.history import (
    AFTER,
    BAD,
    ENDS,
    GOOD,
    OPEN,
    History,
    LookUp,
    Rest,
    State,
    Submit,
    Watch,
    apply,
    grant,
    next_step,
)
from batchrun.ledger.records import (
    CellLine,
    Dropped,
    Extra,
    Finished,
    Learnt,
    Looked,
    Marks,
    Parked,
    Priced,
    Rejected,
    Sweep,
    Throttled,
    Uploaded,
)

LINES: list[CellLine] = [
    record
    for record in EACH
    if not isinstance(record, Sweep | Uploaded | Looked | Throttled | Learnt | Marks)
]
REJECTED = Rejected(cell="c1", attempt=1, http_status=422)
DROPPED = Dropped(cell="c1", attempt=1, reason="refused")
PARKED = Parked(cell="c1", attempt=1, reason="too old")

# Written out by hand: what may follow what, and what it leads to. Everything else is refused.
MAY: dict[tuple[State, str], State] = {
    (State.PENDING, "Intent"): State.DOUBTFUL,
    (State.FAILED, "Intent"): State.DOUBTFUL,
    (State.CANCELLED, "Intent"): State.DOUBTFUL,
    (State.REJECTED, "Intent"): State.DOUBTFUL,
    (State.DOUBTFUL, "Submitted"): State.IN_FLIGHT,
    (State.DOUBTFUL, "Rejected"): State.REJECTED,
    (State.DOUBTFUL, "Dropped"): State.PENDING,
    (State.DOUBTFUL, "Parked"): State.DOUBTFUL,
    (State.IN_FLIGHT, "Parked"): State.IN_FLIGHT,
    (State.IN_FLIGHT, "Finished"): State.SUCCEEDED,
    (State.SUCCEEDED, "Saved"): State.SUCCEEDED,
    (State.SUCCEEDED, "Absent"): State.SUCCEEDED,
    (State.SUCCEEDED, "Lost"): State.SUCCEEDED,
    (State.PARTIAL_SUCCEEDED, "Saved"): State.PARTIAL_SUCCEEDED,
    (State.PARTIAL_SUCCEEDED, "Absent"): State.PARTIAL_SUCCEEDED,
    (State.PARTIAL_SUCCEEDED, "Lost"): State.PARTIAL_SUCCEEDED,
    **{(state, kind): state for state in State for kind in ("Extra", "Priced")},
    (State.PENDING, "Reused"): State.SUCCEEDED,
    (State.FAILED, "Reused"): State.SUCCEEDED,
    (State.CANCELLED, "Reused"): State.SUCCEEDED,
    (State.REJECTED, "Reused"): State.SUCCEEDED,
}


def fold(*lines: CellLine) -> History:
    history = History()
    for offset, line in enumerate(lines):
        apply(history, line, offset)
    return history


def at(state: State) -> History:
    """Return a history of one attempt that has come to *state*."""
    match state:
        case State.PENDING:
            return fold()
        case State.DOUBTFUL:
            return fold(intent())
        case State.IN_FLIGHT:
            return fold(intent(), submitted())
        case State.REJECTED:
            return fold(intent(), REJECTED)
        case _:
            return fold(intent(), submitted(), finished(status=state))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_every_pair_of_state_and_line_is_decided(state: State, line: CellLine) -> None:
    history = at(state)
    before = copy(history)
    if type(line).__name__ == "Intent" and history.attempt:
        line = intent(attempt=2)

    if (after := MAY.get((state, type(line).__name__))) is not None:
        apply(history, line)
        assert history.state is after
    else:
        with pytest.raises(ValueError, match=f"cannot follow {state}"):
            apply(history, line)
        assert history == before


def test_the_table_says_nothing_that_the_hand_written_one_does_not() -> None:
    assert {(state, kind.__name__) for state, kind in AFTER} == set(MAY)


def test_every_state_is_open_good_bad_or_pending_and_only_one_of_them() -> None:
    assert sorted([*OPEN, *GOOD, *BAD, State.PENDING]) == sorted(State)


@pytest.mark.parametrize("status", sorted(ENDS))
def test_a_run_ends_as_its_status_code_says(status: State) -> None:
    assert at(status).state is status


@pytest.mark.parametrize("status", ["canceled", "rejected", "pending", "queued", "", "SUCCEEDED"])
def test_a_status_that_is_no_end_is_refused(status: str) -> None:
    history = at(State.IN_FLIGHT)
    with pytest.raises(ValueError, match="with the status code"):
        apply(history, finished(status=status))
    assert history == at(State.IN_FLIGHT)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.DOUBTFUL, submitted(attempt=2)),
        (State.DOUBTFUL, Rejected(cell="c1", attempt=2, http_status=422)),
        (State.DOUBTFUL, Dropped(cell="c1", attempt=0, reason="")),
        (State.IN_FLIGHT, finished(attempt=2)),
        (State.IN_FLIGHT, Parked(cell="c1", attempt=2, reason="")),
        (State.FAILED, intent(attempt=1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_line_of_another_attempt_is_refused(state: State, line: CellLine) -> None:
    history = at(state)
    with pytest.raises(ValueError, match="attempt"):
        apply(history, line)
    assert history == at(state)


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED, State.CANCELLED, State.REJECTED])
def test_a_dropped_attempt_never_was(state: State) -> None:
    before = at(state)
    history = copy(before)
    apply(history, intent(attempt=before.attempt + 1))
    apply(history, Dropped(cell="c1", attempt=before.attempt + 1, reason="refused"))

    assert (history.state, history.attempt) == (before.state, before.attempt)
    assert history.failures == before.failures
    assert next_step(history, attempts=2) == next_step(before, attempts=2)


def test_a_dropped_attempt_leaves_its_number_to_the_next() -> None:
    history = fold(intent(), DROPPED, intent(), submitted(), finished())

    assert (history.attempt, history.failures) == (1, 0)


def test_a_run_that_is_found_again_is_parked_no_more() -> None:
    history = fold(intent(), PARKED)
    assert history.parked

    apply(history, submitted())
    assert not history.parked


def test_the_next_attempt_forgets_the_run_of_the_last() -> None:
    history = fold(intent(), submitted(), finished(status="failed"), intent(attempt=2))

    assert history.run_id is None
    assert not history.parked


def test_the_offsets_are_those_of_the_newest_lines_of_their_kind() -> None:
    history = fold(
        intent(),
        submitted(),
        finished(status="failed"),
        intent(attempt=2, input=None),
        PARKED.__class__(cell="c1", attempt=2, reason="in doubt"),
        submitted(attempt=2),
        finished(attempt=2),
        saved(attempt=2),
    )

    assert (history.input_line, history.intent_line) == (0, 3)
    assert (history.parked_line, history.ended_line, history.saved_line) == (4, 6, 7)
    assert history.saved


def test_what_other_runs_cost_changes_nothing_of_the_cell() -> None:
    for state in State:
        for line in (
            Extra(cell="c1", attempt=1, run_id="other"),
            Priced(cell="c1", attempt=1, run_id="other", cost=Decimal(1)),
        ):
            history = at(state)
            apply(history, line)
            assert history == at(state)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State.PENDING, Submit(1)),
        (State.DOUBTFUL, LookUp()),
        (State.IN_FLIGHT, Watch()),
        (State.SUCCEEDED, Rest()),
        (State.PARTIAL_SUCCEEDED, Rest()),
        (State.FAILED, Submit(2)),
        (State.CANCELLED, Rest()),
        (State.REJECTED, Rest()),
    ],
)
def test_what_a_cell_needs_follows_from_its_state(state: State, step: object) -> None:
    assert next_step(at(state), attempts=2) == step


@pytest.mark.parametrize("state", sorted(BAD))
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_cell_that_ended_badly_is_final_once_its_attempts_are_used(
    state: State, attempts: int
) -> None:
    history = _used_up(state, attempts)

    assert next_step(history, attempts=attempts) == Rest()


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_retrying_failed_cells_grants_them_as_many_attempts_more(attempts: int) -> None:
    history = _used_up(State.FAILED, attempts)
    granted = grant(history, attempts=attempts)
    tries = 0
    while (step := next_step(history, attempts=attempts, granted=granted)) != Rest():
        assert isinstance(step, Submit)
        _try(history, step.attempt, "failed")
        tries += 1

    assert tries == attempts


@pytest.mark.parametrize("state", [State.CANCELLED, State.REJECTED])
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_retrying_a_cancelled_or_rejected_cell_is_one_try_if_it_ends_so_again(
    state: State, attempts: int
) -> None:
    history = at(state)
    granted = grant(history, attempts=attempts)
    assert next_step(history, attempts=attempts, granted=granted) == Submit(2)

    if state is State.REJECTED:
        apply(history, intent(attempt=2))
        apply(history, Rejected(cell="c1", attempt=2, http_status=422))
    else:
        _try(history, 2, "cancelled")
    assert next_step(history, attempts=attempts, granted=granted) == Rest()


@pytest.mark.parametrize("state", sorted(set(State) - BAD))
def test_nothing_is_granted_to_a_cell_that_did_not_end_badly(state: State) -> None:
    assert grant(at(state), attempts=2) == 0


@given(st.lists(st.sampled_from(LINES), max_size=30), st.integers(1, 3))
def test_whatever_is_offered_a_history_stays_one(lines: list[CellLine], attempts: int) -> None:
    """Lines that cannot follow change nothing; those that can keep the counts in step."""
    history = History()
    ended = 0
    for offset, line in enumerate(lines):
        before = copy(history)
        try:
            apply(history, _renumbered(line, history), offset)
        except ValueError:
            assert history == before
            continue
        ended += isinstance(line, Rejected) or (
            isinstance(line, Finished) and State(line.status_code) in BAD
        )
        assert history.failures == ended
        assert history.failures <= history.attempt
        assert (history.run_id is None) or history.state is not State.DOUBTFUL
        assert history.state in GOOD or not history.saved
        assert (history.state is State.IN_FLIGHT) == (
            next_step(history, attempts=attempts) == Watch()
        )


def _renumbered(line: CellLine, history: History) -> CellLine:  # noqa: PLR0911
    match line.__class__.__name__:
        case "Intent":
            return intent(attempt=history.attempt + 1)
        case "Submitted":
            return submitted(attempt=history.attempt)
        case "Finished":
            return finished(attempt=history.attempt)
        case "Rejected":
            return Rejected(cell="c1", attempt=history.attempt, http_status=400)
        case "Dropped":
            return Dropped(cell="c1", attempt=history.attempt, reason="")
        case "Parked":
            return Parked(cell="c1", attempt=history.attempt, reason="")
        case _:
            return line


def _used_up(state: State, attempts: int) -> History:
    if state is State.REJECTED:
        return at(state)
    history = History()
    for number in range(1, attempts + 1):
        _try(history, number, "failed" if number < attempts else state)
    return history


def _try(history: History, attempt: int, status: str) -> None:
    apply(history, intent(attempt=attempt))
    apply(history, submitted(attempt=attempt))
    apply(history, finished(attempt=attempt, status=status))
