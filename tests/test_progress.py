import io
import threading
from decimal import Decimal

import pytest

from batchrun.results.progress import Bar, Lines, Progress, Silent, choose, span


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


PERSON = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("stream", "options", "environ", "kind"),
    [
        (Terminal(), {}, PERSON, Bar),
        (io.StringIO(), {}, PERSON, Lines),
        (Terminal(), {}, {"TERM": "dumb"}, Lines),
        (Terminal(), {}, {}, Lines),
        (Terminal(), {}, {**PERSON, "CI": "true"}, Lines),
        (Terminal(), {"quiet": True}, PERSON, Silent),
        (Terminal(), {"no_progress": True}, PERSON, Silent),
        (io.StringIO(), {"no_progress": True}, PERSON, Silent),
    ],
)
def test_only_a_person_at_a_terminal_gets_a_bar(
    stream: io.StringIO, options: dict[str, bool], environ: dict[str, str], kind: type
) -> None:
    given = {"quiet": False, "no_progress": False} | options
    chosen = choose(stream, quiet=given["quiet"], no_progress=given["no_progress"], environ=environ)

    assert type(chosen) is kind


def play(progress: Progress) -> None:
    """Tell of a small sweep: two cells of earlier calls, four of this one."""
    progress.start(6, 2)
    for _ in range(3):
        progress.submitted()
    progress.finished("succeeded", Decimal("0.04"))
    progress.finished("failed", None)
    progress.note("the service slowed us down")
    progress.finished("rejected", None)
    progress.finished("partial_succeeded", Decimal("0.01"))
    progress.tick()
    progress.close()


def test_plain_lines_come_every_thirty_seconds_and_never_with_a_carriage_return() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(1000, 0)
    for second in range(120):
        clock.now = 1000.0 + second
        progress.submitted()
        progress.finished("succeeded", Decimal("0.01"))
        progress.tick()
    lines = stream.getvalue().splitlines()

    assert "\r" not in stream.getvalue()
    assert len(lines) == 3
    assert lines[0] == "30 of 1000 done, 1 in flight, 0.30 USD, about 16 min left"


def test_a_plain_line_comes_on_time_also_when_nothing_happens() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(None, 0)
    progress.submitted()
    clock.now += 29.9
    progress.tick()
    assert stream.getvalue() == ""

    clock.now += 0.1
    progress.tick()
    progress.tick()
    assert stream.getvalue() == "0 done, 1 in flight, 0.00 USD\n"


def test_the_time_left_comes_from_this_call_s_own_pace() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(1000, 900)
    clock.now += 30
    for _ in range(10):
        progress.finished("succeeded", None)

    assert stream.getvalue().splitlines()[-1].startswith("901 of 1000 done")
    clock.now += 30
    progress.tick()
    assert (
        stream.getvalue()
        .splitlines()[-1]
        .endswith("910 of 1000 done, 0 in flight, 0.00 USD, about 9 min left")
    )


def test_failures_are_counted_as_soon_as_there_are_some() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock, every=0)
    play(progress)
    lines = stream.getvalue().splitlines()

    assert "failed" not in lines[0]
    assert lines[-1] == "6 of 6 done, 2 failed, 0 in flight, 0.05 USD"
    assert "the service slowed us down" in lines


def test_a_run_of_an_earlier_call_that_ends_leaves_none_less_than_none_in_flight() -> None:
    stream = io.StringIO()
    progress = Lines(stream, clock=Clock(), every=0)
    progress.start(2, 0)
    progress.finished("succeeded", None)

    assert "0 in flight" in stream.getvalue()


def test_the_bar_shows_done_failed_in_flight_and_cost() -> None:
    stream = Terminal()
    before = threading.active_count()
    play(Bar(stream))
    last = stream.getvalue().rstrip().rpartition("\r")[2]

    assert "6/6" in last
    assert "2 failed, 0 in flight, 0.05 USD" in last
    assert threading.active_count() == before


def test_what_earlier_calls_did_counts_as_done_and_not_for_the_pace() -> None:
    stream = Terminal()
    bar = Bar(stream)
    bar.start(10, 4)

    assert "4/10" in stream.getvalue()
    assert bar._bar is not None
    assert bar._bar.initial == 4
    bar.close()


def test_a_note_stands_on_a_line_of_its_own_and_the_bar_goes_on() -> None:
    stream = Terminal()
    bar = Bar(stream)
    bar.note("before")
    bar.start(3, 0)
    bar.note("between")
    bar.finished("succeeded", None)
    bar.close()
    bar.note("after")

    lines = [line.rpartition("\r")[2] for line in stream.getvalue().split("\n")]
    assert [line for line in lines if line in {"before", "between", "after"}] == [
        "before",
        "between",
        "after",
    ]


def test_a_bar_outlives_more_cells_than_it_was_told_of_and_an_unknown_total() -> None:
    for total in (1, None):
        stream = Terminal()
        bar = Bar(stream)
        bar.start(total, 0)
        for _ in range(3):
            bar.finished("succeeded", None)
        bar.tick()
        bar.close()
        assert "3/3" in stream.getvalue() if total else "3/?" in stream.getvalue()


def test_told_before_the_start_or_after_the_end_nothing_breaks() -> None:
    terminal, lines, silent = Terminal(), io.StringIO(), io.StringIO()
    for progress in (Bar(terminal), Lines(lines, clock=Clock()), Silent(silent)):
        progress.submitted()
        progress.finished("failed", None)
        progress.tick()
        progress.close()
        progress.close()
    assert [stream.getvalue() for stream in (terminal, lines, silent)] == ["", "", ""]


def test_the_silent_one_says_only_what_must_be_said() -> None:
    stream = io.StringIO()
    play(Silent(stream))
    play(Silent())

    assert stream.getvalue() == "the service slowed us down\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "1 h 30 min"),
        (86400, "24 h 0 min"),
    ],
)
def test_lengths_of_time_are_spelled_as_people_say_them(seconds: float, text: str) -> None:
    assert span(seconds) == text
