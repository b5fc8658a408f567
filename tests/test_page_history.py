"""Addresses of the page and the browser's way back: through views, open cells and comparisons."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from browser import Page, chromium, needs_browser
from report_pages import row, written

from batchrun.results.result_files import REPORT

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

VIEW: Final = "#row=color&column=seed&size=128"
ESCAPE: Final = "\ue00c"
DOWN: Final = "\ue015"
PROMPTS: Final = 40
LONG: Final = 60_000
"""Characters of a prompt: so many prompts are more than the 2 MB that an address may have."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chairs")
    colors = ("red", "green", "blue")
    rows = [row(f"{c}{n}", {"color": c, "seed": n, "size": 4}) for c in colors for n in (1, 2)]
    written(folder, rows)
    return folder / REPORT


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    rows = [row(f"c{n}", {"prompt": "é" * LONG + str(n), "seed": n % 2}) for n in range(PROMPTS)]
    written(folder, rows)
    return folder / REPORT


def is_open(page: Page, dialog: str) -> bool:
    found: bool = page.js("return document.querySelector(arguments[0]).open", f".{dialog}")
    return found


def go(page: Page, steps: int) -> None:
    """Go through the browser's history, and wait until the page has followed."""
    page.driver.execute_async_script(
        "const [steps, done] = arguments;"
        "addEventListener('popstate', () => setTimeout(done, 50), { once: true });"
        "history.go(steps);",
        steps,
    )
    page.settle()


def focus(page: Page, point: int) -> None:
    page.js("document.querySelector(`[data-point='${arguments[0]}']`).focus()", point)


def test_back_closes_an_open_cell_and_forward_opens_it_again(page: Page, report: Path) -> None:
    page.open(report, VIEW)
    page.click("[data-point='2']")
    length = page.js("return history.length")

    go(page, -1)
    assert not is_open(page, "viewer")
    assert "open" not in page.hash
    go(page, 1)
    assert is_open(page, "viewer")
    assert "open=2" in page.hash
    go(page, -1)
    assert not is_open(page, "viewer")
    assert page.js("return history.length") == length


def test_back_leads_through_a_comparison_and_views(page: Page, report: Path) -> None:
    page.open(report, VIEW)
    page.click("[data-key='larger']")
    focus(page, 0)
    page.press("c", DOWN, "c")
    assert is_open(page, "compare")

    go(page, -1)
    assert (is_open(page, "compare"), is_open(page, "viewer")) == (False, False)
    assert "size=168" in page.hash
    go(page, -1)
    assert "size=128" in page.hash
    go(page, 2)
    assert is_open(page, "compare")
    assert "open=0&beside=2" in page.hash
    page.press(ESCAPE)
    assert (is_open(page, "compare"), is_open(page, "viewer")) == (False, True)
    assert "open=0" in page.hash
    page.press(ESCAPE)
    assert not is_open(page, "viewer")
    assert page.errors == []


def test_plots_follow_the_way_back(page: Page, report: Path) -> None:
    page.open(report, f"{VIEW}&only.color=%22red%22")
    page.js("location.hash = arguments[0]", VIEW)
    page.wait("document.querySelectorAll('[data-point]').length === 6")
    page.click("[data-key='plots']")
    page.all(".plots select")[0].send_keys("color")
    page.wait("document.querySelectorAll('.of-cost .name').length === 3")
    assert page.js("return document.activeElement.dataset.key") == "plotted axis"
    view = page.js("return location.hash")

    page.press(ESCAPE)
    assert not is_open(page, "plotting")
    go(page, -1)
    assert is_open(page, "plotting")
    go(page, -2)
    assert not is_open(page, "plotting")
    page.open(report, view)
    assert page.texts(".of-cost .name") == ["red", "green", "blue"]
    page.click(".plotting .buttons button")
    assert page.js("return document.activeElement.dataset.key") != "plotted axis"
    assert "plot" not in page.hash
    assert page.errors == []


def test_what_an_address_filters_by_can_be_taken_away(page: Page, report: Path) -> None:
    page.open(report, f"{VIEW}&mark=love&tab=size&at=4&only.size=4&open=")

    assert len(page.all("[data-point]")) == 6  # a mark that there isn't is no filter
    assert not is_open(page, "viewer")
    assert "size (1 of 1)" in page.texts("aside summary")
    page.all("[data-key='place size']")[0].send_keys("behind")
    page.wait("document.querySelectorAll('.tabs button').length === 0")
    page.js("document.querySelector('[data-key=\"values size\"]').click()")
    page.wait("document.querySelector('aside .axis button') !== null")
    page.js("document.querySelector('aside .axis button').click()")

    page.wait("!location.hash.includes('only')")
    assert page.errors == []


def test_values_of_any_length_are_chosen_and_the_address_keeps_them(
    page: Page, prompts: Path
) -> None:
    page.open(prompts, "#row=prompt&column=seed&size=96")
    page.js("document.querySelector('[data-key=\"values prompt\"]').click()")
    boxes = "[...document.querySelectorAll('[data-key^=\"only prompt \"]')]"
    page.wait(f"{boxes}.length === {PROMPTS}")
    for number in range(PROMPTS - 1):
        page.js(f"{boxes}[{number}].click()")

    page.wait(
        f"document.querySelector('aside .axis summary').textContent.includes('{PROMPTS - 1} of')"
    )
    assert page.js("return document.querySelector('aside').outerHTML.length") < 200_000
    assert len(page.hash) < 10_000
    page.js(f"{boxes}[0].click()")
    view = page.js("return location.hash")
    page.open(prompts, view)
    summaries = page.texts("aside summary")
    assert f"prompt ({PROMPTS - 2} of {PROMPTS})" in summaries
    assert page.all("[data-point='0']") == []
    assert len(page.all("[data-point='1']")) == 1
    assert page.errors == []


def test_a_slash_finds_the_search_only_where_nothing_else_is_open(page: Page, report: Path) -> None:
    page.open(report, VIEW)
    page.click("[data-key='place color']")
    page.press(ESCAPE, "/")
    assert page.js("return document.activeElement.dataset.key") == "place color"
    focus(page, 0)
    page.press("/")
    assert page.js("return document.activeElement.type") == "search"
    page.click("[data-key='plots']")
    page.press("/")

    assert page.js("return document.querySelector('.plotting').contains(document.activeElement)")
