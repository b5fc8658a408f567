"""The page in a browser: what people do with it, from a disk and without a network."""

import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from PIL import Image
from report_pages import HOSTILE, head, row, written

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.report.data_files import FOLDER
from batchrun.report.single_file import SINGLE, write_single
from batchrun.report.thumbnails import Thumbnails
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow

pytestmark = [pytest.mark.slow, needs_browser]

RIGHT: Final = "\ue014"
DOWN: Final = "\ue015"
UP: Final = "\ue013"
HOME: Final = "\ue011"
END: Final = "\ue010"
ENTER: Final = "\ue007"
ESCAPE: Final = "\ue00c"

COLORS: Final = ("red", "green", "blue")
SEEDS: Final = (1, 2)

SEEN: Final = """
    const said = ["title", "aria-label", "alt", "placeholder"];
    const all = [...document.querySelectorAll("*")];
    const texts = all.flatMap((each) => said.map((name) => each.getAttribute(name) ?? ""));
    return [document.body.innerText, ...texts].some((text) => text.includes(arguments[0]));
"""
"""Says whether a text is seen, or read out, anywhere on the page."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


def picture(folder: Path, name: str, color: str) -> SavedFile:
    path = folder / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), color).save(path)
    size = path.stat().st_size
    return SavedFile(path=f"files/{name}", bytes=size, sha256="ab", content_type="image/png")


def chairs(folder: Path) -> list[PointRow]:
    """Return six chairs with pictures, one that failed, and one that waits."""
    rows = []
    for color in COLORS:
        for seed in SEEDS:
            file = picture(folder, f"{color} #{seed}?.png", color)
            saved = Saved(cell="c", run_id="r", files=(file,), at="t")
            rows.append(row(f"{color}{seed}", {"color": color, "seed": seed}, saved=saved))
    failed: dict[str, Any] = {
        "status": "failed",
        "failure_code": "TIMEOUT",
        "failure_message": "took too long",
    }
    rows.append(row("black1", {"color": "black", "seed": 1}, cost=None, **failed))
    rows.append(row("black2", {"color": "black", "seed": 2}, cost=None, status="pending"))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chairs with spaces #1")
    counts = {"cells": 8, "succeeded": 6, "failed": 1, "pending": 1}
    written(folder, chairs(folder), name="chairs", label="night", counts=counts)
    return folder


@pytest.fixture
def opened(page: Page, folder: Path) -> Page:
    page.open(folder / REPORT)
    return page


def shown(page: Page) -> list[int]:
    """Return the points that have a tile."""
    found: list[int] = page.js(
        "return [...document.querySelectorAll('[data-point]')]"
        ".map((e) => Number(e.dataset.point)).sort((a, b) => a - b)"
    )
    return found


def test_it_opens_from_a_disk_with_its_pictures_and_reasons(opened: Page) -> None:
    opened.wait("[...document.querySelectorAll('.tile img')].every((e) => e.naturalWidth > 0)")

    assert opened.texts("h1") == ["chairs@night"]
    assert len(opened.all(".tile img")) == 6
    assert opened.texts(".tile .reason") == ["TIMEOUT: took too long", ""]
    assert opened.texts(".tile .chip") == ["failed", "pending"]
    assert opened.errors == []


def test_axes_are_put_into_rows_columns_and_tabs(opened: Page) -> None:
    assert opened.texts(".side") != []

    opened.js("location.hash = '#row=seed&column=color&size=128'")
    opened.wait("document.querySelectorAll('.side').length === 2")
    assert opened.texts(".head") == ["red", "green", "blue", "black"]

    select = opened.all("[data-key='place color']")[0]
    select.send_keys("tabs")
    opened.wait("document.querySelectorAll('.tabs button').length === 4")
    opened.settle()

    assert opened.texts(".tabs button") == ["red", "green", "blue", "black"]
    assert shown(opened) == [0, 1]
    opened.all(".tabs button")[1].click()
    opened.settle()
    assert shown(opened) == [2, 3]


def test_axes_that_go_nowhere_have_their_cells_behind_each_other(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, "#row=color&size=128")

    assert shown(page) == [0, 2, 4, 6]
    assert page.texts(".badge") == ["2"] * 4
    page.js("document.querySelector('[data-point]').focus()")
    page.press(".")
    assert shown(page) == [1, 2, 4, 6]


def test_filters_leave_what_was_chosen(opened: Page) -> None:
    opened.click("header .chip.failed")
    opened.wait("document.querySelectorAll('[data-point]').length === 1")
    assert shown(opened) == [6]

    opened.js("location.hash = '#row=color&column=seed&search=blue&size=128'")
    opened.wait("document.querySelectorAll('[data-point]').length === 2")
    assert shown(opened) == [4, 5]

    opened.js("location.hash = '#row=color&column=seed&from=0.01&to=0.08&size=128'")
    opened.wait("document.querySelectorAll('[data-point]').length === 6")


def test_the_address_keeps_the_view(opened: Page, folder: Path) -> None:
    opened.click("header .chip.failed")
    kept = opened.js("return location.hash")

    opened.open(folder / REPORT, kept)

    assert shown(opened) == [6]


def test_a_tile_opens_large_with_what_made_it(opened: Page) -> None:
    opened.click("[data-point='2']")

    assert opened.js("return document.querySelector('.viewer').open")
    opened.wait("document.querySelector('.stage img').naturalWidth === 40")
    facts = " ".join(opened.texts(".facts dd"))
    assert "green" in facts
    assert "0.08 USD" in facts
    assert "google/banana" in facts
    assert opened.all(".facts a")[0].get_attribute("href").endswith("/green%20%231%3F.png")
    opened.press(ESCAPE)
    assert not opened.js("return document.querySelector('.viewer').open")
    assert opened.js("return document.activeElement.dataset.point") == "2"


def test_a_cell_that_failed_leads_to_its_logs_and_shows_their_end(opened: Page) -> None:
    opened.js("document.querySelector('[data-point=\"6\"]').click()")

    [logs] = opened.all(".facts .buttons a")
    assert (logs.text, logs.get_attribute("target")) == ("open the logs", "_blank")
    assert logs.get_attribute("href").endswith("/logs/c%201/r1.json")
    [shown] = opened.texts(".log")
    assert shown.startswith("03:00:00  error: </script><script>alert(1)</script><!-- ]]> ⟨202e⟩")
    assert shown.endswith("\nstep draw: failed")
    opened.press(ESCAPE)


def test_keys_walk_in_the_matrix_and_at_full_size(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, "#row=color&column=seed&size=128")
    page.js("document.querySelector('[data-point=\"0\"]').focus()")

    page.press(RIGHT, DOWN, ENTER)
    assert "open=3" in page.hash
    page.press(DOWN)
    assert "open=5" in page.hash
    page.click("[aria-label='previous color']")
    assert "open=3" in page.hash
    page.click("[aria-label='previous seed']")
    assert "open=2" in page.hash


def test_two_tiles_are_compared_by_slider_and_flicker(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, "#row=color&column=seed&size=128")
    page.js("document.querySelector('[data-point=\"0\"]').focus()")

    page.press("c", DOWN, "c")

    assert "open=0&beside=2" in page.hash
    assert page.texts(".slide .name") == ["color red", "color green"]
    page.wait("[...document.querySelectorAll('.layer img')].every((e) => e.naturalWidth === 40)")
    page.press(RIGHT)
    assert "49%" in page.js("return document.querySelector('.over').style.clipPath")
    page.press(" ")
    page.wait("document.querySelector('.over').style.clipPath.includes('0%')")
    assert page.texts("[aria-pressed='true']") == ["flicker (space)"]


def test_nothing_from_outside_does_anything(page: Page, tmp_path: Path) -> None:
    texts = [HOSTILE, "<img src=x onerror=alert(1)>", "javascript:alert(1)", "${alert(1)}"]
    rows = []
    for number, text in enumerate(texts):
        file = SavedFile(path=text, bytes=9, sha256="a", content_type="image/svg+xml")
        saved = Saved(cell="c", run_id=text, files=(file,), at="t") if number % 2 else None
        values = {"prompt": text, text: number}
        rows.append(row(f"c{number}{text}", values, saved, status=text, failure_message=text))
    written(tmp_path, rows, name=HOSTILE, label=HOSTILE, next=HOSTILE, counts={"cells": 4})

    page.open(tmp_path / REPORT)
    for number in range(len(texts)):
        page.js("location.hash = arguments[0]", f"#size=128&row=prompt&open={number}")
        page.wait(f"document.querySelector('.facts').textContent.includes('c{number}')")

    assert page.js("return document.querySelectorAll('script:not([id^=data-])').length") == 1
    assert not page.js("return [...document.images].some((e) => e.getAttribute('src') === 'x')")
    assert page.all("a[href^='javascript' i]") == []
    assert page.js(SEEN, "⟨202e⟩")
    assert not page.js(SEEN, "\u202e")
    refused = [each for each in page.errors if "ERR_FILE_NOT_FOUND" not in each]
    assert refused == []


def test_data_that_is_missing_is_said(page: Page, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for path in (copy / FOLDER).glob("o*"):
        path.unlink()

    page.open_unready(copy / REPORT)

    page.wait("document.querySelector('.alert') !== null")
    assert "This page is not complete" in page.texts(".alert")[0]


def test_data_that_is_cut_is_said(page: Page, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for path in (copy / FOLDER).glob("o*"):
        path.write_bytes(path.read_bytes()[:-9])

    page.open_unready(copy / REPORT)

    page.wait("document.querySelector('.alert') !== null")
    assert "This page is not complete" in page.texts(".alert")[0]


def test_only_what_is_on_the_screen_is_in_the_tree(page: Page, tmp_path: Path) -> None:
    rows = [
        row(f"c{number}", {"seed": number, "prompt": f"p{number % 7}"}) for number in range(9000)
    ]
    written(tmp_path, rows)

    page.open(tmp_path / REPORT, "#row=seed&column=prompt&size=96")

    assert page.js("return document.querySelectorAll('*').length") < 1500
    page.js("const m = document.querySelector('.matrix'); m.scrollTop = m.scrollHeight")
    page.wait("document.querySelector('[data-place^=\"8999 \"]') !== null")
    assert page.js("return document.querySelectorAll('*').length") < 1500


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with 60 columns and 500 lines; return its address."""
    folder = tmp_path_factory.mktemp("table")
    places = ((line, column) for line in range(500) for column in range(60))
    written(folder, [row(f"c{x}x{y}", {"line": x, "column": y}) for x, y in places])
    return folder / REPORT


TABLE: Final = "#row=line&column=column&size=96"


def test_tiles_stay_on_the_screen_until_the_page_has_drawn_others(page: Page, table: Path) -> None:
    page.open(table, TABLE)

    gaps = page.js(
        "const matrix = document.querySelector('.matrix');"
        "const { left, top, width, height } = matrix.getBoundingClientRect();"
        "matrix.scrollTo(3000, 20000);"  # what is drawn for that comes in a later step
        "const shares = [0.3, 0.5, 0.7, 0.9];"
        "return shares.flatMap((x) => shares.map((y) =>"
        "  document.elementFromPoint(left + x * width, top + y * height).closest('.cell')))"
        ".filter((each) => each === null).length"
    )

    assert gaps == 0
    page.wait("document.querySelector('[data-place=\"210 32\"]') !== null")


def test_a_click_opens_what_is_seen_wherever_the_matrix_is_scrolled(
    page: Page, table: Path
) -> None:
    page.open(table, TABLE)
    page.js("document.querySelector('.matrix').scrollTo(2500, 9630)")
    page.wait("document.querySelector('[data-place=\"102 30\"]') !== null")

    page.click("[data-place='102 30']")

    assert f"open={102 * 60 + 30}&" in f"{page.hash}&"
    heads = page.texts(".head")
    left = page.js(
        "return ['.head[aria-colindex=\"32\"]', '[data-place=\"102 30\"]']"
        ".map((each) => document.querySelector(each).getBoundingClientRect().left)"
    )
    assert "column 30" in heads
    assert left[0] == left[1]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("axes", [2, 3, 7, 12])
def test_a_value_of_each_axis_is_seen_beside_a_row(
    page: Page, tmp_path: Path, axes: int, width: int
) -> None:
    names = [f"axis {number}" for number in range(axes - 1)]
    values = [dict.fromkeys(names, f"value{number}") for number in range(2)]
    rows = [
        row(f"c{n}{seed}", {"prompt": "a lantern on the moon " * 9} | each | {"seed": seed})
        for n, each in enumerate(values)
        for seed in (1, 2)
    ]
    written(tmp_path, rows)
    view = "&".join(f"row={name}" for name in ("prompt", *names[:-1], "seed"))
    page.open(tmp_path / REPORT, f"#{view}&column=alias&size=96", size=(width, 800))

    heads = page.js(
        "return [...document.querySelectorAll('.side')].map((side) => {"
        "  const all = side.getBoundingClientRect();"
        "  const last = side.lastElementChild.getBoundingClientRect();"
        "  return [side.lastElementChild.textContent, last.bottom <= all.bottom + 1, last.height];"
        "})"
    )

    assert [text for text, _, _ in heads[:2]] == ["seed 1", "seed 2"]
    if width > 640 or axes < 7:  # more have no room on a phone: the title has them
        assert all(is_inside and height > 10 for _, is_inside, height in heads)


def test_what_is_printed_ends(page: Page, table: Path) -> None:
    page.open(table, "#row=line&row=column&size=96")

    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {})
    pages = len(re.findall(rb"/Type\s*/Page\b", b64decode(printed["data"])))

    assert 20 <= pages <= 60  # the first 400 of 30,000 lines
    assert page.js("return document.querySelectorAll('.row').length") < 20


def test_a_phone_has_room_for_two_columns(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, size=(390, 800))

    assert page.js("return document.documentElement.scrollWidth") <= 390
    visible: Any = page.js(
        "return [...document.querySelectorAll('.cell')]"
        ".filter((e) => e.getBoundingClientRect().right <= 390).length"
    )
    assert visible >= 4


def test_a_screen_reader_finds_a_grid(opened: Page) -> None:
    assert opened.all("[role=grid]")[0].get_attribute("aria-rowcount") == "5"
    assert len(opened.all("[role=row] > [role=rowheader]")) == 4
    heard = opened.all("[data-point='6']")[0].accessible_name
    assert heard == "banana failed TIMEOUT: took too long"
    assert len(opened.all("[role=gridcell][tabindex='0']")) == 1


def test_a_page_in_one_file_needs_nothing_beside_it(
    page: Page, folder: Path, tmp_path: Path
) -> None:
    store = OutputStore(folder)
    thumbnails = Thumbnails(store, until=lambda: False)
    said = write_single(store, head, lambda: iter(chairs(folder)), thumbnails)
    alone = tmp_path / "alone.html"
    shutil.move(folder / SINGLE, alone)

    page.open(alone)
    page.wait("[...document.querySelectorAll('.tile img')].every((e) => e.naturalWidth > 0)")
    page.click("[data-point='2']")
    page.wait("document.querySelector('.stage img').naturalWidth === 40")

    assert said.endswith("with its files")
    assert page.errors == []


def test_plots_are_of_the_cells_that_are_shown(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, '#row=color&column=seed&only.color="red"&only.color="blue"&size=128')

    page.click("[data-key='plots']")
    assert page.texts(".bars .name") == ["banana", "banana"]
    page.all(".plots select")[0].send_keys("color")

    page.wait("document.querySelectorAll('.bars .name').length === 4")
    assert page.texts(".bars .name") == ["red", "blue"] * 2
    assert "0.16 for 2 cells" in page.texts(".bar-row")[0]


def test_filters_that_leave_no_cell_are_said(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, "#row=color&search=nowhere&size=128")

    assert page.all("main")[0].get_attribute("data-empty").startswith("no cell is like that")


def test_keys_walk_in_a_matrix_that_is_taller_than_a_browser_can_scroll(
    page: Page, tmp_path: Path
) -> None:
    written(tmp_path, [row(f"c{number}", {"seed": number}) for number in range(40_000)])
    page.open(tmp_path / REPORT, "#row=seed&column=alias&size=224")

    page.js("document.querySelector('[data-place]').focus()")
    page.press(END)
    assert page.js("return document.activeElement.dataset.point") == "39999"
    page.press(UP)
    assert page.js("return document.activeElement.dataset.point") == "39998"
    page.js("document.querySelector('.matrix').scrollTop = 0")
    page.wait("document.querySelector('[data-point=\"0\"]') !== null")
    page.press(UP)
    assert page.js("return document.activeElement.dataset.point") == "39997"
    page.press(HOME)
    assert page.js("return document.activeElement.dataset.point") == "0"


def test_the_tabulator_leads_to_what_is_seen(page: Page, tmp_path: Path) -> None:
    written(tmp_path, [row(f"c{number}", {"seed": number}) for number in range(900)])
    page.open(tmp_path / REPORT, "#row=seed&column=alias&size=224")

    page.js("document.querySelector('.matrix').scrollTop = 90000")
    page.wait("document.querySelector('[data-point=\"402\"]') !== null")

    stop = page.js("return Number(document.querySelector('.cell[tabindex=\"0\"]').dataset.point)")
    assert 400 <= stop <= 406


@pytest.mark.parametrize("name", ["constructor", "__proto__"])
def test_an_axis_may_have_a_name_that_means_something_to_javascript(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("batchrun.report.writing.ROWS", 4)
    rows = [row(f"c{n}", {name: f"x{n % 2}", "seed": n}) for n in range(4)]
    written(tmp_path, [*rows, row("c4", {"seed": 4})])  # a chunk that doesn't have the axis

    page.open(tmp_path / REPORT, f"#row=seed&row={name}&size=96")
    page.settle()
    page.js("document.querySelector(`[data-key='values ${arguments[0]}']`).click()", name)
    choice = f"document.querySelector(`[data-key='only {name} 0']`)"
    page.wait(f"{choice} !== null")
    assert shown(page) == [0, 1, 2, 3, 4]
    page.js(f"{choice}.click()")
    page.settle()

    assert shown(page) == [0, 2]
    assert page.errors == []


def test_a_choice_of_values_stays_unfolded_when_one_is_chosen(opened: Page) -> None:
    opened.js("document.querySelector('[data-key=\"values color\"]').click()")
    box = "document.querySelector(`[data-key='only color %s']`)"
    opened.wait(f"{box % 0} !== null")
    opened.js(f"{box % 0}.click()")
    opened.js(f"{box % 2}.click()")
    opened.settle()

    assert opened.texts("aside summary").count("color (2 of 4)") == 1
    assert opened.js(f"return {box % 2}.checked")
    assert shown(opened) == [0, 1, 4, 5]
    assert opened.errors == []
