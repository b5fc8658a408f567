"""The plots of the page: what cells cost, how long they waited and worked, and when."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe import barriers, look, needs_axe
from browser import WIDE, Page, chromium, needs_browser
from report_pages import head, row, written

from batchrun.ledger.records import Throttled, timestamp
from batchrun.report.labels import on_page
from batchrun.report.throttle_bins import throttle_bins
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

LEFT, RIGHT, END = "\ue012", "\ue014", "\ue010"

NIGHT = datetime(2026, 5, 4, 22, 0, tzinfo=UTC)
LATER = timedelta(hours=26)
NO_429 = "no request met a 429"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


def run(
    key: str, values: dict[str, Any], at: datetime, queue: float | None, work: float, **rest: Any
) -> PointRow:
    """Return the row of a run that waited and worked so many seconds; None: that isn't known."""
    start = at + timedelta(seconds=queue or 0)
    times = {
        "created_at": timestamp(at),
        "started_at": None if queue is None else timestamp(start),
        "completed_at": timestamp(start + timedelta(seconds=work)),
    }
    return row(key, values, **{"cost": "0.004"} | times | rest)


def refused(at: datetime, *counts: int) -> Throttled:
    return Throttled(since="", step=10, counts=counts, server_at=timestamp(at))


def nights() -> list[PointRow]:
    """Return the rows of two nights: four runs that overlap by pairs, and one a day later."""
    rows = [
        run(f"red{n}", {"color": "red", "n": n}, NIGHT + timedelta(seconds=20 * n), 5, 30)
        for n in range(4)
    ]
    return [*rows, run("blue0", {"color": "blue", "n": 0}, NIGHT + LATER, 1, 9)]


def opened(page: Page, folder: Path, rows: Sequence[PointRow], view: str = "", **rest: Any) -> None:
    written(folder, rows, **rest)
    page.open(folder / REPORT, view)
    if "plot=" not in view:
        page.click("[data-key='plots']")


def test_the_queue_is_apart_from_the_work(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights())
    page.all(".plots select")[0].send_keys("color")
    page.wait("document.querySelectorAll('.of-queue .name').length === 2")

    assert page.texts(".of-cost .figure") == ["0.016 for 4 cells", "0.004 for 1 cell"]
    assert page.texts(".of-work .name") == ["red", "blue"]
    assert page.texts(".of-work .figure") == ["30 s, 30 s", "9.0 s, 9.0 s"]
    assert page.texts(".of-queue .figure") == ["5.0 s, 5.0 s", "1.0 s, 1.0 s"]
    title = page.all(".of-work .bar-row")[0].get_attribute("title")
    assert title == "red; 30 s, 30 s; 4 runs, the longest 30 s"


@pytest.mark.parametrize(("axis", "first", "last"), [("n", "0", None), ("label", None, "night 29")])
def test_values_beyond_24_are_one_bar_and_of_labels_these_are_the_oldest(
    page: Page, tmp_path: Path, axis: str, first: str | None, last: str | None
) -> None:
    labels = [f"night {number:02}" for number in range(30)]
    values = [{"label": label, "n": number} for number, label in enumerate(labels)]
    rows = [run(f"c{each['n']}", each, NIGHT, 1, 2) for each in values]
    sweeps = [on_page(head(sweep=each), label=each, rows=1, problem=None) for each in labels]

    opened(page, tmp_path, rows, f"#row=n&plot={axis}&size=96", sweeps=sweeps)

    names = page.texts(".of-cost .name")
    assert len(names) == 25
    assert names[0] == (first or "6 other values")
    assert names[-1] == (last or "6 other values")
    assert "0.024 for 6 cells" in page.texts(".of-cost .figure")


def test_nights_are_strips_with_what_is_between_them(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights())

    most, one = (f"at most {number} under way at once and" for number in (2, 1))
    assert page.texts(".strip figcaption") == [
        f"2026-05-04 22:00:00 to 22:01:35 UTC, 2 min; 4 runs, {most} 2 in work; {NO_429}",
        f"2026-05-06 00:00:00 to 00:00:10 UTC, 10 s; 1 run, {one} 1 in work; {NO_429}",
    ]
    assert page.texts(".gap") == ["nothing for 25 h 58 min"]
    assert page.texts(".legend") == ["runs in work", "in the queue"]
    for figure in page.all(".strip svg[role='img']"):
        said = page.js(
            "return document.getElementById(arguments[0].getAttribute('aria-labelledby'))"
            ".textContent",
            figure,
        )
        assert "under way" in said


def test_short_pauses_stay_in_and_many_nights_are_a_dozen_strips(
    page: Page, tmp_path: Path
) -> None:
    rows = [
        run(f"c{n}", {"n": n}, NIGHT + timedelta(days=n // 2, seconds=40 * (n % 2)), 1, 20)
        for n in range(60)
    ]

    opened(page, tmp_path, rows)

    assert len(page.all(".strip")) == 12
    assert len(page.all(".gap")) == 11
    captions = page.texts(".strip figcaption")
    assert sum(int(text.split("; ")[1].split()[0]) for text in captions) == 60


def test_429s_stand_under_the_runs(page: Page, tmp_path: Path) -> None:
    lines = [refused(NIGHT, 3, 0, 1), refused(NIGHT + LATER, 7)]

    opened(page, tmp_path, nights(), throttles=throttle_bins(lines))

    assert [text.split("; ")[-1] for text in page.texts(".strip figcaption")] == [
        "4 requests met a 429",
        "7 requests met a 429",
    ]
    assert len(page.all(".refusals rect")) == 3
    assert page.texts(".legend")[-1] == "429s, of all requests"
    assert page.texts(".scale span") == ["2", "0", "42/min"] * 2


def test_429s_alone_are_a_strip(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, [row("c1", {})], throttles=throttle_bins([refused(NIGHT, *[9] * 6)]))

    assert page.texts(".strip figcaption") == [
        "2026-05-04 22:00:00 to 22:01:00 UTC, 60 s; no run; 54 requests met a 429"
    ]


def test_with_a_filter_on_429s_are_of_the_time_of_the_shown_runs(
    page: Page, tmp_path: Path
) -> None:
    lines = [refused(NIGHT, 3), refused(NIGHT + LATER, 7)]

    opened(page, tmp_path, nights(), '#row=n&only.color="blue"', throttles=throttle_bins(lines))

    assert [text.split("; ")[-1] for text in page.texts(".strip figcaption")] == [
        "7 requests met a 429"
    ]


def test_a_moment_is_said_where_the_pointer_rests(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights(), throttles=throttle_bins([refused(NIGHT, 0, 0, 5)]))

    page.js(
        "const cursor = document.querySelector('.cursor');"
        "const box = cursor.getBoundingClientRect();"
        "const clientX = box.left + box.width * 24 / 95;"
        "cursor.dispatchEvent(new PointerEvent('pointermove', {clientX, clientY: box.top + 9}))"
    )

    assert page.texts(".moment")[0] == (
        "22:00:24 UTC: 2 under way, 1 of them in work; 5 requests met a 429 within 10 s"
    )


def test_arrows_walk_through_the_moments(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights())
    page.js("document.querySelector('.cursor').focus()")

    page.press(RIGHT, RIGHT, END, LEFT)

    (cursor, _) = page.all("[role='slider']")
    said = cursor.get_attribute("aria-valuetext")
    assert page.texts(".moment")[0] == said == "22:01:34 UTC: 1 under way, 1 of them in work"
    assert cursor.get_attribute("aria-valuenow") == "158"


def test_the_axis_keeps_the_focus_when_it_is_chosen(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights())

    page.all(".plots select")[0].send_keys("color")
    page.wait("document.querySelectorAll('.of-cost .name').length === 2")

    assert page.js("return document.activeElement.dataset.key") == "plotted axis"


@needs_axe
@pytest.mark.parametrize("size", [WIDE, (390, 800)], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_people_from_the_plots(
    page: Page, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    written(tmp_path, nights(), throttles=throttle_bins([refused(NIGHT, 3, 0, 1)]))
    look(page, scheme=scheme)
    page.open(tmp_path / REPORT, size=size)
    page.click("[data-key='plots']")
    page.js("document.querySelector('.cursor').focus()")

    assert barriers(page) == []


def test_runs_without_a_start_are_plotted_as_a_whole(page: Page, tmp_path: Path) -> None:
    rows = [run(f"c{n}", {"n": n}, NIGHT, None, 30) for n in range(3)]

    opened(page, tmp_path, rows)

    assert page.texts(".of-whole .figure") == ["30 s, 30 s"]
    assert page.all(".of-queue") == []
    assert page.texts(".legend") == ["in the queue, or not known whether"]
    assert f"at most 3 under way at once; {NO_429}" in page.texts(".strip figcaption")[0]


def test_some_runs_without_a_start_are_said(page: Page, tmp_path: Path) -> None:
    rows = [run("c0", {"n": 0}, NIGHT, 2, 30), run("c1", {"n": 1}, NIGHT, None, 30)]

    opened(page, tmp_path, rows)

    assert page.texts(".of-queue .figure") == ["2.0 s, 2.0 s"]
    assert "1 run more ended, and when their work began is not known" in page.texts(".hint")


def test_a_sweep_without_an_end_has_no_timeline(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, [row("c1", {}, status="pending", cost=None, duration_ms=None)])

    assert "no run has ended" in page.texts(".plots .kind")
    assert page.texts(".of-whole .figure") == ["not known"]
    assert page.errors == []


def test_what_a_filter_leaves_of_many_values_has_bars_of_its_own(
    page: Page, tmp_path: Path
) -> None:
    rows = [run(f"c{n}", {"n": n}, NIGHT, 1, 30) for n in range(40)]
    opened(page, tmp_path, rows, "#row=n&only.n=30&only.n=31")
    page.all(".plots select")[0].send_keys("n")
    page.wait("document.querySelectorAll('.of-cost .name').length === 2")
    assert page.texts(".of-cost .name") == ["30", "31"]

    opened(page, tmp_path, rows)
    page.all(".plots select")[0].send_keys("n")
    page.wait("document.querySelectorAll('.of-cost .name').length === 25")
    assert page.texts(".of-cost .name")[-1] == "16 other values"
    assert page.texts(".of-cost .figure")[-1] == "0.064 for 16 cells"


def test_a_phone_has_room_for_the_plots(page: Page, tmp_path: Path) -> None:
    rows = [*nights(), run("long", {"color": "x" * 90, "n": 9}, NIGHT + LATER, 1, 9)]
    written(tmp_path, rows, throttles=throttle_bins([refused(NIGHT, 300)]), name="n" * 90)

    page.open(tmp_path / REPORT, size=(390, 800))
    page.click("[data-key='plots']")
    page.all(".plots select")[0].send_keys("color")
    page.wait("document.querySelectorAll('.of-cost .name').length === 3")

    width = page.js("return document.querySelector('.plotting').scrollWidth")
    assert width <= 390


def test_plots_are_printed_alone(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, nights())
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = page.js(
            "const display = (of) => getComputedStyle(document.querySelector(of)).display;"
            "return [display('.plotting'), display('main'), display('header'), display('.viewer')]"
        )
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    assert shown[0] != "none"
    assert shown[1:] == ["none"] * 3


def test_at_full_size_a_cell_says_how_long_it_waited(page: Page, tmp_path: Path) -> None:
    written(tmp_path, nights())
    page.open(tmp_path / REPORT, "#row=n&column=color&size=128&open=0")
    page.wait("document.querySelectorAll('.facts dt').length > 3")

    names, values = page.texts(".facts dt"), page.texts(".facts dd")
    facts = dict(zip(names, values, strict=True))
    assert (facts["queued"], facts["worked"]) == ("5.0 s", "30 s")
