"""The text of the bar, in terminals of any width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batchrun.results.bar_line import BarView, bar_line, clock

EARLY = BarView(done=3, total=120, in_flight="5 in flight", cost="1.04 USD", elapsed=5)
NODES = replace(EARLY, nodes="nodes 12/35")
LATE = BarView(
    done=47,
    total=1200,
    in_flight="16 in flight",
    cost="1,234.56 USD",
    bad=["6 cancelled", "6 failed"],
    elapsed=65,
    left=560,
)


@pytest.mark.parametrize(
    ("view", "columns", "line"),
    [
        (
            NODES,
            80,
            "  2%|" + " " * 24 + "| 3/120, 5 in flight, nodes 12/35, 1.04 USD [00:05]",
        ),
        (NODES, 44, "  2% 3/120, 5 in flight, 1.04 USD [00:05]"),
        (NODES, 54, "  2% 3/120, 5 in flight, nodes 12/35, 1.04 USD [00:05]"),
        (NODES, 20, "  2% 3/120 [00:05]"),
        (EARLY, 80, "  2%|" + " " * 37 + "| 3/120, 5 in flight, 1.04 USD [00:05]"),
        (EARLY, 44, "  2% 3/120, 5 in flight, 1.04 USD [00:05]"),
        (EARLY, 30, "  2% 3/120, 1.04 USD [00:05]"),
        (EARLY, 20, "  2% 3/120 [00:05]"),
        (EARLY, 5, "00:05"),
        (
            LATE,
            120,
            "  3%|█" + " " * 33 + "| 47/1,200, 6 cancelled, 6 failed, 16 in flight, 1,234.56 USD "
            "[01:05, 9 min left]",
        ),
        (
            LATE,
            80,
            "  3% 47/1,200, 6 cancelled, 6 failed, 16 in flight, 1,234.56 USD [9 min left]",
        ),
        (LATE, 60, "  3% 47/1,200, 6 cancelled, 6 failed [01:05, 9 min left]"),
        (LATE, 44, "47/1,200, 6 cancelled, 6 failed [9 min left]"),
        (LATE, 30, "  3% 47/1,200 [9 min left]"),
        (LATE, 20, "  3% [9 min left]"),
        (LATE, 10, "9 min left"),
        (LATE, 4, "  3%"),
        (LATE, 3, ""),
    ],
)
def test_the_middle_is_left_out_by_priority_and_the_right_end_is_whole(
    view: BarView, columns: int, line: str
) -> None:
    assert bar_line(view, columns) == line


def test_a_terminal_that_does_not_know_its_width_gets_all_of_it() -> None:
    line = bar_line(LATE, None)

    assert line.startswith("  3%|")
    assert line.endswith("16 in flight, 1,234.56 USD [01:05, 9 min left]")


VIEWS = st.builds(
    BarView,
    done=st.integers(0, 10**7),
    total=st.integers(1, 10**7),
    in_flight=st.just("16 in flight"),
    cost=st.just("12,345.678 USD"),
    nodes=st.sampled_from(["", "nodes 12/35", "nodes 123,456/1,000,000"]),
    bad=st.sampled_from([(), ("1 failed",), ("10,000 cancelled", "3 failed", "1 rejected")]),
    elapsed=st.floats(0, 10**6),
    left=st.none() | st.floats(0, 10**7),
)


@given(VIEWS.filter(lambda view: view.done <= view.total), st.integers(1, 200))
def test_it_is_never_wider_than_the_terminal(view: BarView, columns: int) -> None:
    line = bar_line(view, columns)

    assert len(line) <= columns
    end = clock(view.elapsed) if view.left is None else "left"
    assert columns < 20 or line.removesuffix("]").endswith(end)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (5.9, "00:05"), (3599, "59:59"), (12005, "3:20:05")]
)
def test_times_are_spelled_as_a_clock_does(seconds: float, text: str) -> None:
    assert clock(seconds) == text
