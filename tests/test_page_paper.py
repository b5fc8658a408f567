"""The page of results on paper: nothing is cut in silence, and clips aren't black."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from report_pages import row, written

from batchrun.ledger.records import Saved, SavedFile
from batchrun.results.result_files import REPORT
from batchrun.simulator.pictures import draw

pytestmark = [pytest.mark.slow, needs_browser]

VIEW: Final = "#row=line&column=column&size=128"
SEEDANCE: Final = "bytedance/seedance/2.0/text-to-video"

LAID: Final = """
    window.dispatchEvent(new Event("beforeprint"));
    const right = (each) => each.getBoundingClientRect().right;
    const left = document.querySelector(".window").getBoundingClientRect().left;
    return {
      heads: [...document.querySelectorAll(".head")].map((each) => each.textContent),
      wide: Math.max(...[...document.querySelectorAll(".cell")].map(right)) - left,
      sheet: [...document.styleSheets[0].cssRules].at(-1).cssText.replaceAll(" ", ""),
      said: document.querySelector(".unprinted").textContent,
    };
"""
"""Lays the page out for paper, and says what would stand on it."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


def opened(page: Page, folder: Path, columns: int) -> Any:
    places = ((line, column) for line in range(3) for column in range(columns))
    written(folder, [row(f"c{x}x{y}", {"line": x, "column": y}) for x, y in places])
    page.open(folder / REPORT, VIEW)
    return page.js(LAID)


def test_a_narrow_matrix_is_printed_as_it_is(page: Page, tmp_path: Path) -> None:
    laid = opened(page, tmp_path, 4)

    assert len(laid["heads"]) == 4
    assert laid["wide"] <= 700
    assert not laid["sheet"].startswith("@page")
    assert laid["said"] == ""


def test_a_wide_one_has_smaller_tiles_on_paper_that_lies_on_its_side(
    page: Page, tmp_path: Path
) -> None:
    laid = opened(page, tmp_path, 16)

    assert len(laid["heads"]) == 16
    assert laid["wide"] <= 1000
    assert laid["sheet"] == "@page{size:landscape;}"
    assert laid["said"] == ""
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert page.js("return document.querySelector('.cell').getBoundingClientRect().width") == 128


def test_columns_that_do_not_fit_at_all_are_said(page: Page, tmp_path: Path) -> None:
    laid = opened(page, tmp_path, 60)

    assert 15 <= len(laid["heads"]) < 30
    assert laid["wide"] <= 1000
    assert laid["said"].startswith(f"only {len(laid['heads'])} of 60 columns are printed: ")


def test_clips_are_printed_as_they_stand_on_the_screen(page: Page, tmp_path: Path) -> None:
    rows = []
    for number in range(60):
        name = f"files/{number}.webm"
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(draw(SEEDANCE, {"prompt": f"kite {number % 2}"}, "video", "1"))
        size = path.stat().st_size
        file = SavedFile(path=name, bytes=size, sha256="ab", content_type="video/webm")
        saved = Saved(cell="c", run_id="r", files=(file,), at="t")
        rows.append(row(f"c{number}", {"line": number, "column": 0}, saved=saved))
    written(tmp_path, rows)
    page.open(tmp_path / REPORT, VIEW)
    page.wait("[...document.querySelectorAll('.tile video')].every((e) => e.readyState >= 2)")
    seen = page.js("return document.querySelectorAll('.tile video').length")

    page.js(LAID)

    assert page.js("return document.querySelectorAll('.tile canvas').length") == seen
    assert page.texts(".tile .kind") == ["▶"] * (60 - seen)
    assert page.js("return document.querySelectorAll('.tile video').length") == 0
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert page.js("return document.querySelectorAll('.tile video').length") == seen


def test_a_pdf_can_be_made(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, 16)
    page.js("window.dispatchEvent(new Event('afterprint'))")

    done = page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})

    assert b64decode(done["data"]).startswith(b"%PDF")
    assert page.errors == []
