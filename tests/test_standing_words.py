"""`list`, `status`, a table and a call's last line have one word for one thing."""

from pathlib import Path

from batchrun.results.going_on import how_to_go_on
from batchrun.results.standing_words import BAD, HEADINGS, LEFT, said
from batchrun.results.sweep_facts import SweepFacts
from batchrun.results.sweep_table import state_of
from batchrun.results.tally import Tally


def test_each_count_of_cells_has_a_heading_and_words() -> None:
    counts = {*Tally.__struct_fields__} - {"cells", "orphaned", "folded"}

    assert {*HEADINGS} == counts - {"moderated", "invalid_input"}
    assert {*LEFT, *BAD} == {*HEADINGS} - {"succeeded"}


def test_what_is_left_is_said_alike_by_list_and_by_the_last_line() -> None:
    tally = Tally(cells=2000, pending=1000, in_flight=2, unsaved=1)
    left = "1,000 not yet done, 2 in flight, 1 not saved"
    facts = SweepFacts(folder=Path("x"), state="unfinished", counts=tally.as_dict())

    assert said(tally.as_dict(), LEFT) == left
    assert how_to_go_on(tally, 3, command="batchrun x").endswith(f"; {left}")
    assert state_of(facts) == f"unfinished: {left}"


def test_a_sweep_whose_cells_ended_badly_is_finished_and_not_complete() -> None:
    facts = SweepFacts(folder=Path("x"), state="complete", counts={"succeeded": 3, "rejected": 2})

    assert state_of(facts) == "finished: 2 rejected"
    assert state_of(SweepFacts(folder=Path("x"), state="complete")) == "complete"
