"""The page of labels in a browser: nights side by side, and marks that are each night's own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from axe import barriers, look, needs_axe
from browser import WIDE, Page, chromium, needs_browser
from marks_on_page import focus, marks, saved
from msgspec.structs import replace
from report_pages import head as page_head
from report_pages import row, written

from batchrun.cli import main
from batchrun.report.labels import LABELS_PAGE, LABELS_SINGLE, on_page
from batchrun.results.result_files import REPORT
from batchrun.sweep.location import LEDGER

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

FIRST: Final = """
name: nightly
endpoint: simulator
models: [google/nano-banana-2, {id: openai/gpt-image-1.5, alias: gpt}]
inputs: {prompt: [a red chair, a blue chair, a green chair]}
poll: {interval: 1ms}
"""
LATER: Final = FIRST.replace("a green chair", '"a ${label}"') + "vars: {label: [lamp]}\n"
"""One prompt is another; and a var is called as the axis is."""

ODD: Final = "odd #1 100%41 ü?"
NIGHTS: Final = ("2026-11-27", ODD, "2026-11-29")

TALL: Final = (1280, 1800)
"""A screen on which all tiles are."""

PHONE: Final = (390, 800)

RIGHT: Final = "\ue014"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the name: three nights, the last with another prompt, and their pages."""
    folder = tmp_path_factory.mktemp("nights with spaces #1")
    manifest = folder / "nightly.yaml"
    for label in NIGHTS:
        manifest.write_text(LATER if label == NIGHTS[-1] else FIRST)
        assert main([str(manifest), "--quiet", "--label", label]) == 0
    nights = folder / "outputs/@simulator/nightly"
    assert main(["report", str(nights), "--labels", "--single-file"]) == 0
    return nights


@pytest.fixture
def opened(page: Page, nights: Path) -> Page:
    page.open(nights / LABELS_PAGE, size=TALL)
    page.js("localStorage.clear()")
    page.open(nights / LABELS_PAGE, size=TALL)
    return page


def shown(page: Page) -> set[int]:
    found: list[str] = page.js(
        "return [...document.querySelectorAll('[data-point]')].map((e) => e.dataset.point)"
    )
    return {int(each) for each in found}


def test_nights_stand_side_by_side_with_the_pictures_of_each(opened: Page) -> None:
    opened.wait("[...document.querySelectorAll('.tile img')].every((e) => e.naturalWidth > 0)")

    assert opened.texts("h1") == ["nightly by label"]
    assert opened.texts(".head") == [*NIGHTS]
    rows = opened.js(
        "return [...document.querySelectorAll('[role=row]')].map((row) =>"
        " [...row.querySelectorAll('[data-point]')].map((e) => Number(e.dataset.point)))"
        ".filter((points) => points.length > 0)"
    )
    assert rows[0] == [0, 6, 12]  # the same combination, in each night
    assert sorted(map(len, rows)) == [1, 1, 2, 2, 3, 3, 3, 3]
    assert opened.errors == []


def test_labels_go_where_any_axis_goes_and_the_address_keeps_it(opened: Page, nights: Path) -> None:
    select = opened.all("[data-key='place label']")[0]
    select.send_keys("tabs")
    opened.wait("document.querySelectorAll('.tabs button').length === 3")
    opened.settle()
    assert shown(opened) == {0, 1, 2, 3, 4, 5}
    opened.all(".tabs button")[1].click()
    opened.settle()

    assert shown(opened) == {6, 7, 8, 9, 10, 11}
    view = opened.js("return location.hash")
    opened.open(nights / LABELS_PAGE, view)
    assert shown(opened) == {6, 7, 8, 9, 10, 11}


def test_the_table_of_labels_says_how_each_stands_and_chooses_one(opened: Page) -> None:
    opened.click(".labels summary")
    cells = opened.texts(".labels tbody tr:nth-child(2) > *")
    assert cells[0] == ODD
    assert (cells[2], cells[4]) == ("6", "all succeeded")
    assert opened.texts(".sums span")[0] == "18 cells"

    opened.all(".labels tbody button")[1].click()
    opened.settle()

    assert shown(opened) == {6, 7, 8, 9, 10, 11}


def test_failures_name_their_night_and_show_its_cells_alone(page: Page, tmp_path: Path) -> None:
    failed: dict[str, Any] = {"status": "failed", "failure_code": "TIMEOUT"}
    labels = ("mon", "tue")
    rows = [
        row(f"c{number}", {"label": label, "prompt": number}, **(failed if number else {}))
        for label in labels
        for number in range(3)
    ]
    failure = {"alias": "banana", "code": "TIMEOUT", "message": "it took long", "count": 2}
    one = page_head()
    sweeps = [on_page(replace(one, sweep=s), label=s, rows=3, problem=None) for s in labels]
    failures = [{**failure, "label": label} for label in labels]
    written(tmp_path, rows, sweeps=sweeps, failures=failures)
    page.open(tmp_path / REPORT)

    page.click(".failures summary")
    assert page.texts(".failures summary") == ["why 4 cells failed"]
    assert page.texts(".failures button") == [f"{each}: 2 banana: TIMEOUT" for each in labels]
    page.all(".failures button")[1].click()
    page.settle()

    assert shown(page) == {4, 5}
    assert page.errors == []


def test_one_walks_along_the_labels_and_compares_two_nights(opened: Page) -> None:
    opened.click("[data-point='0']")
    opened.click("[aria-label='next label']")
    assert "open=6" in opened.hash
    assert f"@{ODD}/files/" in opened.js("return document.querySelector('.facts').textContent")
    opened.wait("document.querySelector('.stage img').naturalWidth > 0")
    opened.js("document.querySelector('.viewer').focus()")
    opened.press("c", RIGHT, "c")

    opened.wait("document.querySelectorAll('.compare img').length === 2")
    opened.wait("[...document.querySelectorAll('.compare img')].every((e) => e.naturalWidth > 0)")
    assert [each.split(" · ")[0] for each in opened.texts(".compare .name")] == [
        f"label {ODD}",
        "label 2026-11-29",
    ]
    assert "open=6&beside=12" in opened.hash
    assert opened.errors == []


def test_a_command_that_is_copied_names_the_folder_of_its_night(opened: Page, nights: Path) -> None:
    opened.click("[data-point='6']")
    opened.js(
        "window.copy = []; Object.defineProperty(navigator, 'clipboard', {configurable: true,"
        " value: {writeText: (text) => { window.copy.push(text); return Promise.resolve(); }}})"
    )

    opened.js(
        "[...document.querySelectorAll('.viewer button')]"
        ".find((e) => e.textContent === 'copy command').click()"
    )

    [command] = opened.js("return window.copy")
    assert command.startswith(f"batchrun why '{nights / f'@{ODD}'}' ")


def test_a_mark_is_of_its_own_night_here_and_on_its_own_page(opened: Page, nights: Path) -> None:
    focus(opened, 0)
    opened.press("p", RIGHT, "x")
    assert marks(opened) == {0: "✓", 6: "✕"}

    opened.open(nights / f"@{ODD}" / REPORT)
    assert set(marks(opened).values()) == {"✕"}
    assert len(marks(opened)) == 1
    focus(opened, 0)
    opened.press("x", "r")

    opened.open(nights / LABELS_PAGE, "#row=prompt&row=alias&column=label&size=128&mark=redo")
    assert marks(opened) == {6: "↻"}
    opened.open(nights / LABELS_PAGE)
    assert marks(opened) == {0: "✓", 6: "↻"}
    assert opened.errors == []


def test_marks_that_were_taken_in_are_shown_at_their_night(
    opened: Page, nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nights / f"@{ODD}"
    row = json.loads((folder / "results.jsonl").read_text().partition("\n")[0])
    sweep = json.loads((folder / "sweep.json").read_text())["sweep"]
    values = {"id": "m1", "sweep": sweep, "cell": row["cell"], "kind": "pick", "note": ""}
    given = nights / "given.jsonl"
    given.write_text(json.dumps({**values, "at": "2026-11-29T03:00:00Z"}) + "\n")
    assert main(["picks", str(folder), str(given)]) == 0
    assert f"`batchrun report '{folder}'` shows the marks in the page" in capsys.readouterr().out
    assert main(["report", str(nights), "--labels", "--single-file"]) == 0

    for name in (LABELS_PAGE, LABELS_SINGLE):
        opened.open(nights / name, size=TALL)
        assert marks(opened) == {6: "✓"}
    (folder / "picks.jsonl").unlink()
    assert main(["report", str(nights), "--labels", "--single-file"]) == 0


def test_marks_of_all_nights_leave_in_one_file_and_each_takes_its_own(
    opened: Page, nights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    focus(opened, 0)
    opened.press("p", RIGHT, "p", RIGHT, "x")

    path = saved(opened, tmp_path)

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({each["sweep"] for each in lines}) == 3
    copy = tmp_path / "nightly"
    shutil.copytree(nights, copy)
    assert main(["picks", str(copy / f"@{NIGHTS[0]}"), str(path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["new"], len(found["picked"]), len(found["rejected"])) == (1, 1, 0)
    assert {each["label"]: each["marks"] for each in found["left"]} == {ODD: 1, NIGHTS[2]: 1}
    opened.js("localStorage.clear()")
    opened.open(nights / LABELS_PAGE)
    opened.all("[data-key='marks file']")[0].send_keys(str(path))
    opened.wait("document.querySelector('.bar .said').textContent.includes('taken in')")
    assert opened.texts(".bar .said") == ["3 marks taken in from picks.jsonl"]
    assert marks(opened) == {0: "✓", 6: "✓", 12: "✕"}


def test_a_file_with_marks_of_an_unknown_sweep_is_refused_whole(
    opened: Page, tmp_path: Path
) -> None:
    focus(opened, 0)
    opened.press("p")
    path = saved(opened, tmp_path)
    other = json.loads(path.read_text()) | {"sweep": "elsewhere", "id": "another"}
    path.write_text(f"{path.read_text()}{json.dumps(other)}\n")
    opened.js("localStorage.clear()")
    opened.press("p")

    opened.all("[data-key='marks file']")[0].send_keys(str(path))

    opened.wait("document.querySelector('.bar .said').textContent.includes('nothing was')")
    assert "1 of its marks are of another sweep, elsewhere" in opened.texts(".bar .said")[0]


def test_one_file_has_all_nights(page: Page, nights: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.html"
    shutil.copy(nights / LABELS_SINGLE, alone)

    page.open(alone)
    page.wait("[...document.querySelectorAll('.tile img')].every((e) => e.naturalWidth > 0)")

    assert page.texts(".head") == [*NIGHTS]
    assert page.errors == []


@needs_axe
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_table_of_labels_bars_no_one(
    page: Page, nights: Path, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    copy = tmp_path / "nightly"
    shutil.copytree(nights, copy)
    (copy / f"@{NIGHTS[0]}" / LEDGER).write_bytes(b"no line\n")
    assert main(["report", str(copy), "--labels"]) == 9
    look(page, scheme=scheme)
    page.open(copy / LABELS_PAGE, size=size)
    assert page.texts(".labels summary") == ["3 labels, 1 with a problem"]
    assert page.texts(".head") == [*NIGHTS[1:]]

    page.click(".labels summary")

    assert "damaged" in page.texts(".labels")[0]
    assert barriers(page) == []


def test_many_nights_are_columns_all_the_same(page: Page, nights: Path, tmp_path: Path) -> None:
    many = tmp_path / "nightly"
    for day in range(1, 13):
        shutil.copytree(nights / f"@{NIGHTS[0]}", many / f"@2026-10-{day:02}")
        ledger = many / f"@2026-10-{day:02}" / LEDGER
        first, rest = ledger.read_text().split("\n", 1)
        start = json.loads(first) | {"at": f"2026-10-{day:02}T03:00:00.000000Z"}
        ledger.write_text(f"{json.dumps(start, separators=(',', ':'))}\n{rest}")
    assert main(["report", str(many), "--labels"]) == 0

    page.open(many / LABELS_PAGE)

    assert page.all("[role=grid]")[0].get_attribute("aria-colcount") == "13"
    assert page.texts(".head")[:2] == ["2026-10-01", "2026-10-02"]
