"""What stays as it was while the page draws anew: the focus, what plays, what is pointed at."""

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from PIL import Image
from report_pages import row, written

from batchrun.ledger.records import Saved, SavedFile
from batchrun.report.data_files import FOLDER
from batchrun.results.result_files import REPORT
from batchrun.simulator.pictures import draw

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

SEEDANCE: Final = "bytedance/seedance/2.0/text-to-video"
TABLE: Final = "#row=line&column=column&size=96"
RIGHT, DOWN, ESCAPE = "\ue014", "\ue015", "\ue00c"

DRAWN: Final = "requestAnimationFrame(() => requestAnimationFrame(arguments[arguments.length - 1]))"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with 60 columns and 500 lines, in eight chunks; return its address."""
    folder = tmp_path_factory.mktemp("table")
    places = ((line, column) for line in range(500) for column in range(60))
    written(folder, [row(f"c{x}x{y}", {"line": x, "column": y}) for x, y in places], sweep="table")
    return folder / REPORT


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page whose first cells have clips, in two chunks; return its address."""
    folder = tmp_path_factory.mktemp("clips")
    data = draw(SEEDANCE, {"prompt": "a red kite"}, "video", "1")
    rows = []
    for number in range(4400):
        file = SavedFile(path="files/a.webm", bytes=9, sha256="ab", content_type="video/webm")
        saved = Saved(cell="c", run_id="r", files=(file,), at="t") if number < 4 else None
        rows.append(row(f"c{number}", {"n": number}, saved=saved))
    (folder / "files").mkdir()
    (folder / "files/a.webm").write_bytes(data)
    written(folder, rows, sweep="clips")
    return folder / REPORT


def scroll(page: Page, left: int, top: int) -> None:
    page.js("document.querySelector('.matrix').scrollTo(...arguments)", left, top)
    page.driver.execute_async_script(DRAWN)
    page.settle()


def focus(page: Page, place: str) -> None:
    page.js(
        "document.querySelector(`[data-place='${arguments[0]}']`).focus({ preventScroll: true })",
        place,
    )


def focused(page: Page) -> Any:
    return page.js("return document.activeElement.dataset.place")


@pytest.mark.parametrize(("left", "top"), [(900, 0), (4000, 0), (0, 40_000), (4000, 40_000)])
def test_the_focus_stays_where_it_is_however_far_one_scrolls(
    page: Page, table: Path, left: int, top: int
) -> None:
    page.open(table, TABLE)
    focus(page, "1 2")

    scroll(page, left, top)  # far down, details of another chunk come
    assert focused(page) == "1 2"
    assert page.js("return document.querySelectorAll('[data-place]').length") < 250
    page.press(RIGHT)
    assert focused(page) == "1 3"
    page.press(DOWN)
    assert focused(page) == "2 3"
    assert page.js(
        "const box = document.activeElement.getBoundingClientRect();"
        "return document.elementFromPoint(box.x + 40, box.y + 40).closest('[data-place]')"
        " === document.activeElement"
    )
    assert len(page.all(".cell[tabindex='0']")) == 1


def test_scrolling_sideways_keeps_the_tiles_that_stay_on_the_screen(
    page: Page, table: Path
) -> None:
    page.open(table, TABLE)
    page.js("window.kept = document.querySelector('[data-place=\"2 5\"]')")

    scroll(page, 300, 90)

    assert page.js("return window.kept.isConnected")
    orders = page.js(
        "return [...document.querySelectorAll('.row')].map((row) =>"
        " [...row.querySelectorAll('[aria-colindex]')].map((e) => Number(e.ariaColIndex)))"
    )
    assert all(each == sorted(each) for each in orders)
    assert len({len(each) for each in orders}) == 1
    lines = page.js("return [...document.querySelectorAll('.row')].map((e) => e.ariaRowIndex)")
    assert lines == sorted(lines, key=int)


def test_a_clip_under_the_pointer_plays_on_while_marks_and_details_come(
    page: Page, clips: Path
) -> None:
    page.open(clips)
    page.js("localStorage.clear()")
    page.open(clips, "#row=n&size=168")
    focus(page, "0 1")
    actions = pytest.importorskip("selenium.webdriver").ActionChains(page.driver)
    actions.move_to_element(page.all(".tile video")[1]).perform()
    page.wait("document.querySelectorAll('.tile video')[1].currentTime > 0.2")
    page.js("window.clip = document.querySelectorAll('.tile video')[1]")

    page.press("p")

    assert page.texts(".marks") == ["✓"]
    assert page.js("return window.clip.isConnected && !window.clip.paused")
    assert focused(page) == "0 1"
    page.press("n")
    page.press(ESCAPE)
    assert page.errors == []


def test_a_clip_at_full_size_plays_on_while_other_details_come(page: Page, clips: Path) -> None:
    page.open(clips, "#row=n&size=168")
    page.js("localStorage.clear()")
    page.open(clips, "#row=n&size=168&open=1")
    page.press("p")  # a cell that the filter leaves
    page.js("window.clip = document.querySelector('.stage video'); window.clip.muted = true")
    page.js("return window.clip.play()")
    page.wait("window.clip.currentTime > 0.1")

    page.js("document.querySelector('[data-key=\"mark pick\"]').click()")  # all details are read
    page.wait("!document.querySelector('.bar .said').textContent.startsWith('4,400 rows')")

    assert page.js("return window.clip.isConnected && !window.clip.paused")


def test_larger_tiles_leave_one_where_one_was(page: Page, table: Path) -> None:
    page.open(table, TABLE)
    scroll(page, 2400, 19_200)  # line 200, column 25
    before = page.js("return document.querySelector('.matrix').scrollTop")
    assert before == 19_200

    page.click("[data-key='larger']")

    box = page.js(
        "const box = document.querySelector('[data-place=\"200 25\"]').getBoundingClientRect();"
        "const all = document.querySelector('.matrix').getBoundingClientRect();"
        "return [box.left - all.left, box.top - all.top]"
    )
    assert 0 <= box[0] < 400
    assert 0 <= box[1] < 300


def test_a_narrower_window_leaves_the_focus_on_its_cell(page: Page, clips: Path) -> None:
    page.open(clips, "#row=n&size=168", size=(1280, 800))
    focus(page, "2 1")
    point = page.js("return document.activeElement.dataset.point")

    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1000, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    page.wait("innerWidth === 1000")
    page.driver.execute_async_script(DRAWN)
    page.settle()

    assert page.js("return document.activeElement.dataset.point") == point


def test_details_that_are_gone_are_said_at_full_size_and_in_a_comparison(
    page: Page, clips: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clips.parent, copy)
    for path in (copy / FOLDER).glob("d1-*"):
        path.unlink()

    page.open_unready(copy / REPORT, "#row=n&size=168&open=4300")
    page.wait("document.querySelector('.stage .kind') !== null")
    page.wait("document.querySelector('.stage').textContent !== '…'")

    assert "reload the page" in page.texts(".stage")[0]
    page.js("location.hash = '#row=n&size=168&open=1&beside=4300'")
    page.wait("document.querySelectorAll('.layer').length === 2")
    page.wait("document.querySelectorAll('.layer')[0].textContent.includes('reload the page')")
    page.js("location.hash = '#row=n&size=168&search=4300'")
    page.wait("document.querySelector('.tile').textContent.includes('reload the page')")


def test_a_comparison_that_is_closed_plays_nothing(page: Page, clips: Path) -> None:
    page.open(clips, "#row=n&size=168&open=1&beside=2")
    page.wait("document.querySelectorAll('.layer video').length === 2")

    page.press(ESCAPE)

    page.wait("document.querySelectorAll('.layer video').length === 0")
    assert page.errors == []


def test_a_thumbnail_that_is_gone_leaves_the_picture(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    file = SavedFile(path="a.png", bytes=9, sha256="ab", content_type="image/png")

    class Gone:
        left = 0

        def of(self, file: SavedFile) -> str | None:
            return "report/thumbnails/gone.webp"

    written(
        tmp_path, [row("c", {}, Saved(cell="c", run_id="r", files=(file,), at="t"))], drawing=Gone()
    )
    page.open(tmp_path / REPORT)

    page.wait("document.querySelector('.tile img')?.naturalWidth === 40")
    assert page.texts(".tile .kind") == []


def test_two_sounds_that_are_compared_can_be_heard(page: Page, tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(8000))
        file = SavedFile(path=f"{name}.wav", bytes=9, sha256="ab", content_type="audio/wav")
        saved = Saved(cell=name, run_id="r", files=(file,), at="t")
        rows.append(row(name, {"sound": name}, saved=saved))
    written(tmp_path, rows)

    page.open(tmp_path / REPORT, "#row=sound&size=168&open=0&beside=1")

    seen = page.js(
        "return [...document.querySelectorAll('.compare audio')].map((e) => {"
        "  const { left, top, width, height } = e.getBoundingClientRect();"
        "  const seen = document.elementFromPoint(left + width / 2, top + height / 2);"
        "  return [e.controls, e.muted, e.autoplay, seen === e];"
        "})"
    )
    assert seen == [[True, False, False, True]] * 2
    assert page.all(".compare input[type=range]")[0].is_displayed() is False
