"""Marks in the page: made by keys and buttons, kept by the browser, and taken along as a file."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from marks_on_page import focus, marks, saved
from report_pages import HOSTILE, row, written

from batchrun.results.result_files import REPORT
from batchrun.sweep.picks import Kind, Pick, folded, lines_of, parse_pick

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

CHAIRS: Final = [
    *(
        row(f"{color}{seed}", {"color": color, "seed": seed})
        for color in ("red", "blue")
        for seed in (1, 2)
    ),
    row("red1", {"color": "green", "seed": 1}, shared=True, cost=None),
]
VIEW: Final = "#row=color&column=seed&size=168"
ESCAPE: Final = "\ue00c"
ENTER: Final = "\ue007"
RIGHT: Final = "\ue014"
IS_ASKED: Final = """
    const event = new Event("beforeunload", { cancelable: true });
    return !window.dispatchEvent(event);
"""
"""Says whether the browser would ask before the page is left."""

SAVE: Final = "\ue009\ue007"  # Ctrl and Enter


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


@pytest.fixture
def chairs(page: Page, tmp_path: Path) -> Page:
    """A page of four chairs that has no marks."""
    written(tmp_path, CHAIRS, sweep=f"sweep-{tmp_path.name}")
    page.open(tmp_path / REPORT, VIEW)
    return page


def read_in(page: Page, path: Path) -> str:
    page.js("document.querySelector('.bar .said').textContent = ''")
    page.all("[data-key='marks file']")[0].send_keys(str(path))
    page.wait("document.querySelector('.bar .said').textContent !== ''")
    return page.texts(".bar .said")[0]


def test_keys_mark_the_focused_tile_and_take_the_mark_away(chairs: Page) -> None:
    focus(chairs, 0)

    chairs.press("p")
    assert marks(chairs) == {0: "✓", 4: "✓"}  # one cell, two rows
    assert "picked" in chairs.driver.switch_to.active_element.accessible_name
    chairs.press("x", "r")
    assert marks(chairs) == {0: "✕↻", 4: "✕↻"}
    chairs.press("r", "x")
    assert marks(chairs) == {}
    assert chairs.js("return document.activeElement.dataset.point") == "0"
    assert chairs.errors == []


def test_buttons_mark_at_full_size_and_say_how_it_stands(chairs: Page) -> None:
    chairs.click("[data-point='1']")

    chairs.click(".viewer [data-mark='pick']")
    pressed = chairs.js(
        "return [...document.querySelectorAll('.viewer [data-mark]')].map((e) => e.ariaPressed)"
    )
    assert pressed == ["true", "false", "false", "false"]
    assert chairs.texts(".viewer .said") == ["picked"]
    assert chairs.js("return document.activeElement.dataset.mark") == "pick"
    chairs.press("r")
    chairs.press(ESCAPE)
    assert marks(chairs) == {1: "✓↻"}


def test_a_note_is_text_whatever_is_in_it(chairs: Page) -> None:
    focus(chairs, 2)
    chairs.press("n")
    assert chairs.js("return document.activeElement.tagName") == "TEXTAREA"
    chairs.js("document.activeElement.value = arguments[0]", HOSTILE.replace("\ud800", ""))
    chairs.press(" /pxr?", SAVE)

    assert marks(chairs) == {2: "✎"}
    assert chairs.js("return document.activeElement.dataset.point") == "2"
    chairs.press(ENTER)
    [noted] = chairs.texts(".noted")
    assert noted.startswith("</script><script>alert(1)</script>")
    assert noted.endswith("/pxr?")
    assert "\u202e" not in noted
    chairs.press("n", ESCAPE)  # closes the note, and nothing else
    assert chairs.js("return document.querySelector('.viewer').open")
    assert chairs.errors == []


def test_marks_are_kept_by_the_browser_and_by_the_sweep(chairs: Page, tmp_path: Path) -> None:
    focus(chairs, 3)
    chairs.press("p")

    chairs.open(tmp_path / REPORT, VIEW)
    assert marks(chairs) == {3: "✓"}
    other = tmp_path / "other"
    written(other, [row("blue2", {"color": "blue", "seed": 2})], sweep="another")
    chairs.open(other / REPORT)
    assert marks(chairs) == {}


def test_cells_are_filtered_by_their_marks_also_by_an_address(chairs: Page, tmp_path: Path) -> None:
    focus(chairs, 0)
    chairs.press("p", RIGHT, "r")

    chairs.click("[data-key='mark pick']")
    chairs.wait("document.querySelectorAll('[data-point]').length === 2")
    assert "mark=pick" in chairs.hash
    chairs.click("[data-key='mark redo']")
    chairs.wait("document.querySelectorAll('[data-point]').length === 3")

    chairs.open(tmp_path / REPORT, f"{VIEW}&mark=none")
    assert [each.get_attribute("data-point") for each in chairs.all("[data-point]")] == ["2", "3"]


def test_marks_leave_as_a_file_that_batchrun_reads_and_come_back(
    chairs: Page, tmp_path: Path
) -> None:
    focus(chairs, 0)
    chairs.press("p", "x", RIGHT, "r", "n")
    chairs.press("too dark", SAVE)

    path = saved(chairs, tmp_path)

    lines = [line for _, line in lines_of(path.read_bytes())]
    picks = folded(map(parse_pick, lines))
    assert list(picks.rejected) == ["red1"]
    assert list(picks.redo) == ["red2"]
    assert picks.notes["red2"].note == "too dark"
    assert picks.picked == {}
    first: dict[str, Any] = json.loads(lines[0])
    assert list(first)[:6] == ["id", "sweep", "cell", "kind", "note", "at"]
    chairs.js("localStorage.clear()")
    chairs.open(tmp_path / REPORT, VIEW)
    assert marks(chairs) == {}
    assert read_in(chairs, path) == "4 marks taken in from picks.jsonl"
    assert marks(chairs) == {0: "✕", 1: "↻✎", 4: "✕"}
    assert read_in(chairs, path) == "0 marks taken in from picks.jsonl"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sweep": "elsewhere"}, "1 of its marks are of another sweep, elsewhere"),
        ({"kind": "love"}, "line 1 is no mark"),
        ({"cell": "<img src=x>"}, "line 1 is no mark"),
    ],
)
def test_a_file_that_is_of_no_use_is_refused_with_the_reason(
    chairs: Page, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    focus(chairs, 0)
    chairs.press("p")
    path = saved(chairs, tmp_path)
    wrong = tmp_path / "wrong \u202e.jsonl"
    wrong.write_text(json.dumps(json.loads(path.read_text()) | change) + "\n")
    chairs.press(ESCAPE)

    shown = read_in(chairs, wrong)

    assert shown.startswith("nothing was taken in from wrong ⟨202e⟩.jsonl: ")
    assert said in shown
    assert marks(chairs) == {0: "✓", 4: "✓"}


def test_a_browser_that_keeps_nothing_is_said(chairs: Page) -> None:
    chairs.js(
        "window.kept = Storage.prototype.setItem;"
        "Storage.prototype.setItem = () => { throw new Error('full'); }"
    )
    focus(chairs, 0)

    chairs.press("p")

    assert marks(chairs) == {0: "✓", 4: "✓"}
    assert "this browser doesn't keep marks: save picks.jsonl" in chairs.texts(".bar .said")[0]
    chairs.js("Storage.prototype.setItem = window.kept")
    chairs.press("p")
    assert chairs.texts(".bar .said") == ["not picked any more"]


def test_a_browser_without_storage_asks_before_unsaved_marks_are_left(
    page: Page, chairs: Page, tmp_path: Path
) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('off'); } })"
    script = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": blocked}
    )
    try:
        page.open(tmp_path / REPORT, VIEW)
        assert not page.js(IS_ASKED)
        focus(page, 0)
        page.press("p")
        assert "this browser doesn't keep marks" in page.texts(".bar .said")[0]
        assert page.js(IS_ASKED)

        saved(page, tmp_path)
        assert page.texts(".bar .said") == [
            "1 mark saved as picks.jsonl; `batchrun picks` takes them in"
        ]
        assert not page.js(IS_ASKED)
        focus(page, 1)
        page.press("x")
        assert page.js(IS_ASKED)
        saved(page, tmp_path)
        assert page.errors == []
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_two_tabs_show_and_keep_the_marks_of_each_other(chairs: Page, tmp_path: Path) -> None:
    first = chairs.driver.current_window_handle
    chairs.driver.switch_to.new_window("tab")
    try:
        chairs.open(tmp_path / REPORT, VIEW)
        focus(chairs, 1)
        chairs.press("p")
        chairs.driver.switch_to.window(first)
        chairs.wait("document.querySelector('[data-point=\"1\"] .marks') !== null")
        focus(chairs, 2)
        chairs.press("x")
        assert marks(chairs) == {1: "✓", 2: "✕"}
        [second] = [each for each in chairs.driver.window_handles if each != first]
        chairs.driver.switch_to.window(second)
        chairs.wait("document.querySelector('[data-point=\"2\"] .marks') !== null")
        assert chairs.js("return document.activeElement.dataset.point") == "1"
        chairs.press("r")
        assert marks(chairs) == {1: "✓↻", 2: "✕"}
        chairs.driver.close()
    finally:
        chairs.driver.switch_to.window(first)
    chairs.open(tmp_path / REPORT, VIEW)
    assert marks(chairs) == {1: "✓↻", 2: "✕"}


def kept(tmp_path: Path, *marks: tuple[str, str], **rest: Any) -> list[Pick]:
    """Return marks as they were taken in: of a cell, and a kind."""
    values = {"sweep": f"sweep-{tmp_path.name}", "at": "2026-11-29T03:00:00.000Z"} | rest
    return [
        Pick(id=f"kept-{number}", cell=cell, kind=Kind(kind), **values)
        for number, (cell, kind) in enumerate(marks)
    ]


def stored(page: Page) -> list[str]:
    """Return what the browser keeps."""
    found: list[str] = page.js("return Object.values({...localStorage})")
    return found


def test_marks_that_were_taken_in_are_shown_by_any_browser(chairs: Page, tmp_path: Path) -> None:
    chairs.js("localStorage.clear()")
    marked = [*kept(tmp_path, ("red1", "pick"), ("blue2", "note"), note=HOSTILE)]
    written(tmp_path, CHAIRS, sweep=f"sweep-{tmp_path.name}", marks=marked)

    chairs.open(tmp_path / REPORT, VIEW)

    assert marks(chairs) == {0: "✓", 3: "✎", 4: "✓"}
    assert stored(chairs) == []
    chairs.click("[data-key='mark pick']")
    chairs.wait("document.querySelectorAll('[data-point]').length === 2")
    assert chairs.errors == []


def test_a_mark_that_was_taken_in_is_taken_away_for_good(chairs: Page, tmp_path: Path) -> None:
    chairs.js("localStorage.clear()")
    marked = kept(tmp_path, ("red1", "pick"), ("blue1", "redo"))
    written(tmp_path, CHAIRS, sweep=f"sweep-{tmp_path.name}", marks=marked)
    chairs.open(tmp_path / REPORT, VIEW)
    focus(chairs, 0)
    chairs.press("p")
    assert marks(chairs) == {2: "↻"}

    chairs.open(tmp_path / REPORT, VIEW)
    assert marks(chairs) == {2: "↻"}
    picks = [parse_pick(line) for _, line in lines_of(saved(chairs, tmp_path).read_bytes())]
    assert folded([*picks, *marked]).picked == {}
    assert list(folded(picks).redo) == ["blue1"]
    later = kept(tmp_path, ("red1", "pick"), at="2099-11-29T03:00:00.000Z")
    written(tmp_path, CHAIRS, sweep=f"sweep-{tmp_path.name}", marks=later)
    chairs.open(tmp_path / REPORT, VIEW)
    assert marks(chairs) == {0: "✓", 2: "↻", 4: "✓"}


def test_a_page_with_marks_may_be_left_where_the_browser_keeps_none(
    chairs: Page, tmp_path: Path
) -> None:
    written(
        tmp_path, CHAIRS, sweep=f"sweep-{tmp_path.name}", marks=kept(tmp_path, ("red1", "pick"))
    )
    chairs.open(tmp_path / REPORT, VIEW)
    leave = (
        "const event = new Event('beforeunload', {cancelable: true});"
        "dispatchEvent(event); return event.defaultPrevented"
    )
    chairs.js(
        "window.kept = Storage.prototype.setItem;"
        "Storage.prototype.setItem = () => { throw new Error('full'); }"
    )
    focus(chairs, 0)
    chairs.press("p")
    assert chairs.js(leave)

    chairs.js("Storage.prototype.setItem = window.kept")
    chairs.press("p")
    assert not chairs.js(leave)


def test_thousands_of_marks_are_shown_at_once(chairs: Page, tmp_path: Path) -> None:
    rows = [row(f"c{number}", {"seed": number}) for number in range(5000)]
    marked = kept(tmp_path, *((f"c{number}", "pick") for number in range(5000)))
    written(tmp_path, rows, sweep=f"sweep-{tmp_path.name}", marks=marked)

    chairs.open(tmp_path / REPORT)

    chairs.wait("document.querySelectorAll('.marks').length > 5")
    assert "5000" in chairs.texts(".marking .choice")[0]


@pytest.mark.parametrize("seed", range(5))
def test_the_page_and_batchrun_agree_on_what_marks_come_to(
    chairs: Page, tmp_path: Path, seed: int
) -> None:
    dice = Random(seed)
    cells = {0: "red1", 1: "red2", 2: "blue1", 3: "blue2", 4: "red1"}
    lines = [
        {
            "id": f"m{number}",
            "sweep": f"sweep-{tmp_path.name}",
            "cell": dice.choice([*cells.values()]),
            "kind": dice.choice(["pick", "reject", "redo", "note"]),
            "note": dice.choice(["", " ", "dark"]),
            "at": dice.choice(["2026-11-29T03:00:00.{}00Z", "2026-11-29T12:00:00.{}+09:00"]).format(
                dice.randrange(4)
            ),
            "off": dice.random() < 0.3,
        }
        for number in range(40)
    ]
    text = "\n".join(map(json.dumps, lines))
    chairs.js("localStorage.setItem(...arguments)", f"batchrun.marks.{lines[0]['sweep']}", text)

    chairs.open(tmp_path / REPORT, VIEW)

    picks = folded(parse_pick(line) for _, line in lines_of(text.encode()))
    signs = {"pick": "✓", "reject": "✕", "redo": "↻", "note": "✎"}
    expected = {
        point: "".join(sign for kind, sign in signs.items() if cell in picks.of(kind))
        for point, cell in cells.items()
    }
    assert marks(chairs) == {point: found for point, found in expected.items() if found}


def test_a_note_that_was_not_saved_is_there_again(chairs: Page) -> None:
    noted = "return document.querySelector('.noting textarea').value"
    focus(chairs, 0)
    chairs.press("n")
    chairs.all(".noting textarea")[0].send_keys("a leg is missing")
    chairs.press(ESCAPE)
    chairs.wait("document.querySelector('.bar .said').textContent.startsWith('the note is not')")

    chairs.press("n")
    assert chairs.js(noted) == "a leg is missing"
    chairs.click(".noting .buttons button:last-child")
    chairs.press("n")
    assert chairs.js(noted) == ""
    chairs.press(ESCAPE)
    assert chairs.errors == []


def test_a_tile_that_is_kept_for_a_comparison_is_seen_and_can_be_let_go(chairs: Page) -> None:
    kept = "return [...document.querySelectorAll('.kept')].map((e) => e.dataset.point)"
    focus(chairs, 0)

    chairs.press("c")
    assert chairs.js(kept) == ["0"]
    chairs.press("c")
    assert chairs.js(kept) == []
    assert chairs.texts(".bar .said") == ["not kept for comparison any more"]
    chairs.press("c")
    focus(chairs, 1)
    chairs.press("c")

    assert "beside=1" in chairs.hash
    assert chairs.js(kept) == []
    assert chairs.errors == []
