"""Simulated clips in the page of results: as tiles, at full size, side by side, in one file."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from PIL import Image
from report_pages import head, row, written

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.report.single_file import SINGLE, write_single
from batchrun.report.thumbnails import Thumbnails
from batchrun.results.result_files import REPORT
from batchrun.results.rows import PointRow
from batchrun.simulator.pictures import draw
from batchrun.simulator.webm import webm

pytestmark = [pytest.mark.slow, needs_browser]

SEEDANCE: Final = "bytedance/seedance/2.0/text-to-video"
SIZE: Final = (480, 320)
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)
SECOND: Final = 1000
TILE: Final = ".tile video"
PLAYER: Final = ".stage video"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


def still(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", SIZE, color).save(file, "WEBP")
    return file.getvalue()


def made(folder: Path, name: str, data: bytes) -> PointRow:
    path = folder / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    file = SavedFile(path=f"files/{name}", bytes=len(data), sha256="ab", content_type="video/webm")
    return row(name, {"clip": name}, saved=Saved(cell="c", run_id="r", files=(file,), at="t"))


def clips(folder: Path) -> list[PointRow]:
    """Return a clip of three colors, a second each, and one that the simulator drew."""
    return [
        made(folder, "colors #1.webm", webm([still(each) for each in (RED, GREEN, BLUE)], SECOND)),
        made(folder, "drawn.webm", draw(SEEDANCE, {"prompt": "a red kite"}, "video", "1")),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips with spaces #1")
    written(folder, clips(folder), counts={"cells": 2, "succeeded": 2})
    return folder


@pytest.fixture
def opened(page: Page, folder: Path) -> Page:
    page.open(folder / REPORT)
    return page


def every(page: Page, selector: str, condition: str) -> None:
    """Wait until the condition on `e` holds for two videos."""
    found = f"[...document.querySelectorAll('{selector}')]"
    page.wait(f"{found}.length === 2 && {found}.every((e) => {condition})")


def of_first(page: Page, selector: str, what: str) -> Any:
    return page.js(f"const e = document.querySelector('{selector}'); return {what}")


def shows(page: Page, selector: str, color: tuple[int, int, int]) -> bool:
    """Say whether the first such element has that color on the screen, beside any controls."""
    with Image.open(io.BytesIO(page.all(selector)[0].screenshot_as_png)) as shot:
        seen = shot.convert("RGB").getpixel((shot.width // 4, shot.height // 4))
    assert isinstance(seen, tuple)
    return all(abs(one - other) < 25 for one, other in zip(seen, color, strict=True))


def point_at(page: Page, selector: str) -> None:
    actions = pytest.importorskip("selenium.webdriver").ActionChains(page.driver)
    actions.move_to_element(page.all(selector)[0]).perform()


def test_a_tile_shows_the_first_frame_and_stands_still(opened: Page) -> None:
    every(opened, TILE, "e.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA")

    sizes = opened.js(
        f"return [...document.querySelectorAll('{TILE}')]"
        ".map((e) => [e.videoWidth, e.videoHeight, e.duration, e.paused, e.controls])"
    )
    assert sizes == [[*SIZE, 3, True, False], [512, 288, 1.44, True, False]]
    assert shows(opened, TILE, RED)
    assert opened.errors == []


def test_a_tile_plays_while_it_is_pointed_at(opened: Page) -> None:
    point_at(opened, TILE)
    opened.wait(f"document.querySelector('{TILE}').currentTime > 0.1")
    others = opened.js(f"return [...document.querySelectorAll('{TILE}')].map((e) => e.paused)")
    point_at(opened, "h1")

    opened.wait(f"document.querySelector('{TILE}').paused")
    assert others == [False, True]
    assert opened.errors == []


def test_at_full_size_it_has_controls_by_which_it_plays(opened: Page) -> None:
    opened.click("[data-point='1']")
    opened.wait(
        f"document.querySelector('{PLAYER}').readyState === HTMLMediaElement.HAVE_ENOUGH_DATA"
    )

    assert of_first(opened, PLAYER, "[e.controls, e.loop, e.paused, e.videoWidth, e.duration]") == [
        *(True, True, True, 512, 1.44)
    ]
    opened.click(PLAYER)  # only a player with controls plays when it is clicked
    opened.wait(f"document.querySelector('{PLAYER}').currentTime > 0.1")
    assert opened.errors == []


def test_any_frame_can_be_jumped_to(opened: Page) -> None:
    opened.click("[data-point='0']")
    for second, color in ((2.5, BLUE), (0.5, RED), (1.5, GREEN)):
        opened.js(f"document.querySelector('{PLAYER}').currentTime = {second}")
        opened.wait(f"document.querySelector('{PLAYER}').seeking === false")

        assert of_first(opened, PLAYER, "e.currentTime") == second
        assert shows(opened, PLAYER, color)
    assert of_first(opened, PLAYER, "e.seekable.end(0)") == 3
    assert opened.errors == []


def test_two_are_compared_while_both_play(page: Page, folder: Path) -> None:
    page.open(folder / REPORT)
    page.js("document.querySelector('[data-point=\"0\"]').focus()")
    page.press("c")
    page.js("document.querySelector('[data-point=\"1\"]').focus()")
    page.press("c")

    every(page, ".layer video", "!e.paused && e.currentTime > 0.1 && !e.controls")
    assert page.errors == []


def test_a_page_in_one_file_plays_them_too(page: Page, folder: Path, tmp_path: Path) -> None:
    store = OutputStore(folder)
    drawer = Thumbnails(store, until=lambda: False)
    said = write_single(store, head, lambda: iter(clips(folder)), drawer)
    alone = tmp_path / "alone.html"
    shutil.move(folder / SINGLE, alone)

    page.open(alone)
    every(page, TILE, "e.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA")
    page.click("[data-point='0']")
    page.js(f"document.querySelector('{PLAYER}').currentTime = 1.5")
    page.wait(f"document.querySelector('{PLAYER}').seeking === false")

    assert said.endswith("with its files")
    assert shows(page, PLAYER, GREEN)
    assert page.errors == []
