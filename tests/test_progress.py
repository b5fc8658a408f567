import io
import os
import pty
import re
import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from batchrun.base.progress import Moment, Progress
from batchrun.base.text import span
from batchrun.commands.progress_choice import choose
from batchrun.results.progress_bar import Bar
from batchrun.results.progress_lines import Lines, Silent

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "


def said(stream: io.StringIO) -> list[str]:
    """Return the lines without their times, which each of them has."""
    lines = stream.getvalue().splitlines()
    assert all(re.match(TIME, line) for line in lines), lines
    return [re.sub(TIME, "", line, count=1) for line in lines]


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


def at(in_flight: int, cost: str) -> Callable[[], Moment]:
    return lambda: Moment(in_flight, Decimal(cost))


def play(progress: Progress) -> None:
    """Tell of a small sweep: two cells of earlier calls, four of this one, two points folded."""
    progress.start(8, at(3, "0.05"))
    progress.passed()
    progress.ended()
    progress.passed(bad="failed")
    progress.fewer(2)
    progress.ended(bad="cancelled")
    progress.note("the service slowed us down")
    progress.ended()
    progress.ended()
    progress.tick()
    progress.close()


def test_plain_lines_come_every_thirty_seconds_and_never_with_a_carriage_return() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(1000, at(1, "0.30"))
    for second in range(120):
        clock.now = 1000.0 + second
        progress.ended()
        progress.tick()
    lines = said(stream)

    assert "\r" not in stream.getvalue()
    assert len(lines) == 3
    assert lines[0] == "31 of 1,000 done, 1 in flight, 0.30 USD, about 16 min left"


def test_a_plain_line_comes_on_time_also_when_nothing_happens() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(9, at(1, "0"))
    clock.now += 29.9
    progress.tick()
    assert stream.getvalue() == ""

    clock.now += 0.1
    progress.tick()
    progress.tick()
    assert said(stream) == ["0 of 9 done, 1 in flight, 0.00 USD"]


def test_the_time_left_comes_from_this_call_s_own_pace() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.start(1000, at(0, "9.1"))
    for _ in range(900):
        progress.passed()
    clock.now += 30
    for _ in range(10):
        progress.ended()
    assert said(stream)[-1].startswith("901 of 1,000 done")

    clock.now += 30
    progress.tick()
    assert said(stream)[-1] == ("910 of 1,000 done, 0 in flight, 9.10 USD, about 9 min left")


def test_the_bar_s_time_left_is_by_this_call_s_own_pace_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, clock = Terminal(), Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    bar = Bar(stream)
    bar.start(1000, at(0, "9.1"))
    for _ in range(900):
        bar.passed()
    clock.now += 60
    for _ in range(10):
        bar.ended()
    bar.tick()
    last = stream.getvalue().rpartition("\r")[2]

    assert "910/1,000, 0 in flight, 9.10 USD [01:00, 9 min left]" in last
    bar.close()


def test_failures_are_counted_as_soon_as_there_are_some() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock, every=0)
    play(progress)
    lines = said(stream)

    assert "failed" not in lines[1]
    assert lines[-1] == "6 of 6 done, 1 cancelled, 1 failed, 3 in flight, 0.05 USD"
    assert "the service slowed us down" in lines


def test_the_bar_shows_done_failed_in_flight_and_cost() -> None:
    stream = Terminal()
    before = threading.active_count()
    play(Bar(stream))
    last = stream.getvalue().rstrip().rpartition("\r")[2]

    assert last.startswith("100%|")
    assert "| 6/6, 1 cancelled, 1 failed, 3 in flight, 0.05 USD [" in last
    assert threading.active_count() == before


def test_a_terminal_that_does_not_know_its_width_has_a_bar_too() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs, "w") as stream:
        assert os.get_terminal_size(theirs).columns == 0
        play(Bar(stream))
        stream.flush()
        shown = ""
        # One read returns as much as the kernel has passed on by then, which may be a part.
        while "6/6" not in shown:
            shown += screen.read(10_000).decode()


def test_what_is_under_way_is_asked_for_when_it_is_shown_and_not_at_each_event() -> None:
    asked = 0

    def now() -> Moment:
        nonlocal asked
        asked += 1
        return Moment(0, Decimal(0))

    for progress in (Bar(Terminal()), Lines(io.StringIO(), clock=Clock())):
        asked = 0
        progress.start(10_000, now)
        for _ in range(10_000):
            progress.passed()
        progress.close()
        assert asked < 1000, progress


def test_a_note_stands_on_a_line_of_its_own_and_the_bar_goes_on() -> None:
    stream = Terminal()
    bar = Bar(stream)
    bar.note("before")
    bar.start(3, at(0, "0"))
    bar.note("between")
    bar.ended()
    bar.close()
    bar.note("after")

    lines = [line.rpartition("\r")[2] for line in stream.getvalue().split("\n")]
    assert [line for line in lines if line in {"before", "between", "after"}] == [
        "before",
        "between",
        "after",
    ]


def test_more_cells_than_were_told_of_take_neither_the_bar_nor_the_total_away() -> None:
    terminal, stream = Terminal(), io.StringIO()
    for progress in (Bar(terminal), Lines(stream, clock=Clock(), every=0)):
        progress.start(1, at(0, "0"))
        for _ in range(3):
            progress.ended()
        progress.tick()
        progress.close()
    assert "100%|" in terminal.getvalue().rpartition("\r")[2]
    assert "3/3" in terminal.getvalue()
    assert "3 of 3 done" in stream.getvalue()


def test_told_before_the_start_or_after_the_end_nothing_breaks() -> None:
    terminal, lines, silent = Terminal(), io.StringIO(), io.StringIO()
    for progress in (Bar(terminal), Lines(lines, clock=Clock()), Silent(silent)):
        progress.fewer(1)
        progress.passed()
        progress.ended(bad="failed")
        progress.tick()
        progress.close()
        progress.close()
    assert [stream.getvalue() for stream in (terminal, lines, silent)] == ["", "", ""]


def test_without_progress_only_notes_are_said_and_quiet_leaves_out_these_too() -> None:
    for quiet, said in ((False, "the service slowed us down\n"), (True, "")):
        stream = Terminal()
        play(choose(stream, quiet=quiet, no_progress=True, environ=PERSON))
        assert stream.getvalue() == said


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
