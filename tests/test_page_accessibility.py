"""The page for people who see little, use a keyboard alone, or have it read out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from axe import barriers, look, needs_axe
from browser import WIDE, Page, chromium, needs_browser
from report_pages import row, written
from test_report_page import DOWN, chairs

from batchrun.results.result_files import REPORT

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

MATRIX: Final = "#row=color&column=seed&size=168"
GALLERY: Final = "#row=color&row=seed&size=168"
PHONE: Final = (390, 800)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chairs")
    failures = [{"alias": "banana", "code": "TIMEOUT", "message": "took too long", "count": 1}]
    counts = {"cells": 8, "succeeded": 6, "failed": 1, "pending": 1}
    rows = [
        *chairs(folder),
        row("red1", {"color": "green", "seed": 3}, shared=True, cost=None),
    ]
    written(folder, rows, label="night", counts=counts, failures=failures, next="go on")
    return folder


def focus_first(page: Page) -> None:
    page.js("localStorage.clear()")
    page.js("document.querySelector('[data-point]').focus()")


def mark(page: Page) -> None:
    focus_first(page)
    page.press("p", "r", DOWN, "x")


def note(page: Page) -> None:
    focus_first(page)
    page.press("n")
    page.wait("document.querySelector('.noting').open")


def unfold_all(page: Page) -> None:
    page.js("document.body.classList.add('unfolded')")
    page.js("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    page.wait("document.querySelector('aside input[type=checkbox]') !== null")


def nothing(_: Page) -> None:
    pass


STATES: Final[dict[str, tuple[str, Callable[[Page], None]]]] = {
    "matrix": (MATRIX, nothing),
    "gallery": (GALLERY, nothing),
    "tabs": ("#row=color&tab=seed&at=1&size=168", nothing),
    "behind each other": ("#row=color&size=128", nothing),
    "no cell": (f"{MATRIX}&search=nowhere", nothing),
    "panel": (MATRIX, unfold_all),
    "marks": (MATRIX, mark),
    "note": (MATRIX, note),
    "viewer": (f"{MATRIX}&open=2", nothing),
    "viewer of a failure": (f"{MATRIX}&open=6", nothing),
    "comparison": (f"{MATRIX}&open=0&beside=2", nothing),
    "plots": (MATRIX, lambda page: page.click("[data-key='plots']")),
}


@needs_axe
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_people_from_it(
    page: Page, folder: Path, scheme: str, size: tuple[int, int], state: str
) -> None:
    view, act = STATES[state]
    look(page, scheme=scheme)
    page.open(folder / REPORT, view, size)
    act(page)
    page.settle()

    assert barriers(page) == []
