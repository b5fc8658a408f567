"""The page for people who see little, use a keyboard alone, or have it read out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from axe import barriers, look, needs_axe
from browser import WIDE, Page, chromium, needs_browser
from report_pages import row, written
from test_report_page import DOWN, ENTER, ESCAPE, UP, chairs

from batchrun.results.result_files import REPORT

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

MATRIX: Final = "#row=color&column=seed&size=168"
GALLERY: Final = "#row=color&row=seed&size=168"
PHONE: Final = (390, 800)

TAB: Final = "\ue004"
PAGE_DOWN: Final = "\ue00f"


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


def focused(page: Page) -> str:
    """Return what has the focus, by its key or its point."""
    found: str = page.js(
        "const { dataset } = document.activeElement; return dataset.key ?? dataset.point ?? ''"
    )
    return found


@pytest.mark.parametrize(
    ("view", "name", "key"),
    [
        (f"{MATRIX}&open=0", "1 color", ENTER),
        (f"{MATRIX}&open=0", "pick", ENTER),
        ("#row=color&tab=seed&at=1&size=168", "tab 1", ENTER),
        (MATRIX, "larger", ENTER),
        (MATRIX, "place seed", "t"),
    ],
)
def test_the_focus_stays_where_keys_were_pressed(
    page: Page, folder: Path, view: str, name: str, key: str
) -> None:
    page.open(folder / REPORT, view)
    page.js("document.querySelector(`[data-key='${arguments[0]}']`).focus()", name)

    page.press(key, key)

    assert focused(page) == name


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, MATRIX)
    page.js("document.querySelector('[data-point=\"3\"]').focus()")

    page.press(ENTER)
    stops = set()
    for _ in range(40):
        page.press(TAB)
        stops.add(focused(page))
        assert page.js("return document.activeElement.closest('main, aside, header')") is None
    assert {"back", "note", "-1 color", "copy inputs"} <= stops
    page.press(ESCAPE)
    page.wait("document.activeElement.dataset.point === '3'")

    page.press("n", ESCAPE)
    assert focused(page) == "3"

    page.press("c", UP, "c")
    assert page.js("return document.activeElement.type") == "range"
    page.press(ESCAPE)
    assert page.js("return document.activeElement.closest('dialog').className") == "viewer"
    page.press(ESCAPE)
    page.wait("document.activeElement.dataset.point === '3'")

    page.js("document.querySelector('[data-key=plots]').focus()")
    page.press(ENTER, ESCAPE)
    assert focused(page) == "plots"


def test_keys_go_on_after_a_click_on_the_picture(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, f"{MATRIX}&open=0")

    page.click(".stage img")
    page.press(DOWN)

    assert "open=2" in page.hash


def test_taking_a_choice_back_leads_to_what_was_chosen_from(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, f'{MATRIX}&only.color="red"')
    page.js("document.querySelector('[data-key=\"values color\"]').click()")
    page.wait("document.querySelector('aside details button') !== null")

    page.js("document.querySelector('aside details button').focus()")
    page.press(ENTER)

    assert focused(page) == "values color"
    assert page.js("return document.activeElement.tagName") == "SUMMARY"


def heard(page: Page) -> list[tuple[str, str]]:
    """Return what a screen reader has of the page: roles and names, in their order."""
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    by_id = {each["nodeId"]: each for each in nodes}

    def walk(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if not node["ignored"]:
            yield node["role"]["value"], node.get("name", {}).get("value", "")
        for child in node.get("childIds", []):
            yield from walk(by_id[child])

    return list(walk(nodes[0]))


SPOKEN: Final = {"grid", "row", "columnheader", "rowheader", "gridcell"}


def test_a_grid_is_read_out_by_its_heads_and_cells(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, MATRIX)

    grid = [each for each in heard(page) if each[0] in SPOKEN]

    assert grid[:6] == [
        ("grid", "cells"),
        ("row", grid[1][1]),
        ("columnheader", "color"),
        ("columnheader", "seed 1"),
        ("columnheader", "seed 2"),
        ("columnheader", "seed 3"),
    ]
    assert [name for role, name in grid if role == "rowheader"] == ["red", "green", "blue", "black"]
    assert [name for role, name in grid if role == "gridcell"] == [
        "banana, succeeded 0.08 USD",
        "banana, succeeded 0.08 USD",
        "no cell",
        "banana, succeeded 0.08 USD",
        "banana, succeeded 0.08 USD",
        "banana, succeeded no file yet the same run as an earlier row",
        "banana, succeeded 0.08 USD",
        "banana, succeeded 0.08 USD",
        "no cell",
        "banana failed TIMEOUT: took too long",
        "banana pending",
        "no cell",
    ]


def test_cells_behind_each_other_and_those_of_a_gallery_are_named(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, "#row=color&size=128")
    names = [name for role, name in heard(page) if role == "gridcell"]
    assert names[0] == "banana, succeeded red 0.08 USD, 1 of 2 here"

    grid = page.all("[role=grid]")[0]
    assert grid.get_attribute("aria-colcount") == str(len(page.all("[data-place^='0 ']")))
    assert page.all("[data-point='0']")[0].get_attribute("aria-colindex") == "1"


def test_rows_are_read_out_in_their_order_wherever_one_has_scrolled(
    page: Page, tmp_path: Path
) -> None:
    written(tmp_path, [row(f"c{number}", {"seed": number}) for number in range(200)])
    page.open(tmp_path / REPORT, "#row=seed&column=alias&size=224")
    page.js("document.querySelector('[data-point]').focus()")

    page.press(PAGE_DOWN, PAGE_DOWN, PAGE_DOWN, PAGE_DOWN, UP, UP, UP, UP)

    indexes: list[int] = page.js(
        "return [...document.querySelectorAll('.row')].map((e) => Number(e.ariaRowIndex))"
    )
    assert len(indexes) > 3
    assert indexes == sorted(indexes)


def test_what_a_key_comes_to_is_read_out(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, f"{MATRIX}&open=6")
    assert page.all("dialog.viewer")[0].accessible_name == "black · seed 1 · failed"

    page.press(UP)
    assert page.texts(".title[aria-live]") == ["blue · seed 1 · succeeded"]
    assert page.all(".stage img")[0].accessible_name == "blue · seed 1 · succeeded"
    page.press("p")
    assert page.texts(".viewer [role=status]") == ["picked"]


def test_little_moves_where_little_shall(page: Page, folder: Path) -> None:
    look(page, motion="reduce")
    page.open(folder / REPORT, f"{MATRIX}&open=0&beside=2")
    covered = "return document.querySelector('.over').style.clipPath"

    page.press(" ")
    assert "100%" in page.js(covered)
    assert page.all("[aria-pressed=true]") == []
    page.press(" ")
    assert "100%" not in page.js(covered)
    assert page.js("return document.getAnimations().length") == 0
    look(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_show_the_focus_and_what_is_pressed(
    page: Page, folder: Path, scheme: str
) -> None:
    look(page, scheme=scheme, forced_colors="active")
    page.open(folder / REPORT, "#row=color&tab=seed&at=1&size=168")
    style = (
        "const s = getComputedStyle(document.querySelector(arguments[0])); return s[arguments[1]]"
    )

    page.js("document.querySelector('[data-point]').focus()")
    assert page.js(style, ".cell:focus .tile", "outlineStyle") == "solid"
    pressed = page.js(style, "[aria-pressed=true]", "backgroundColor")
    assert pressed != page.js(style, "[aria-pressed=false]", "backgroundColor")
    page.click("[data-key='plots']")
    assert page.js(style, ".track .whole", "backgroundColor") != page.js(
        style, "body", "backgroundColor"
    )
    look(page)


@pytest.mark.parametrize("size", [(320, 640), (390, 800), (844, 390)])
def test_a_finger_hits_each_control(page: Page, folder: Path, size: tuple[int, int]) -> None:
    for view, act in STATES.values():
        page.open(folder / REPORT, view, size)
        act(page)
        small = page.js(
            "return [...document.querySelectorAll('button, select, input, summary, a')]"
            ".map((e) => [e.closest('label.choice') ?? e, e])"
            ".map(([e, named]) => [e.getBoundingClientRect(), named.outerHTML])"
            ".filter(([r]) => r.width > 0 && (r.width < 24 || r.height < 24))"
        )
        assert small == []
        assert page.js("return document.documentElement.scrollWidth") <= size[0]
        assert page.js("return document.querySelector('main').clientHeight") >= 240


def placeholders(page: Page) -> list[tuple[str, bool]]:
    """Return the words that stand in empty fields, and whether they are cut."""
    ask = page.driver.execute_cdp_cmd
    todo = [ask("DOM.getDocument", {"depth": -1, "pierce": True})["root"]]
    found = []
    while todo:
        node = todo.pop()
        todo += [*node.get("children", ()), *node.get("shadowRoots", ())]
        if node.get("attributes", ())[:2] != ["pseudo", "-webkit-input-placeholder"]:
            continue
        element = ask("DOM.resolveNode", {"nodeId": node["nodeId"]})["object"]
        said = "function () { return [this.textContent, this.scrollWidth > this.clientWidth]; }"
        asked = {"objectId": element["objectId"], "functionDeclaration": said}
        text, is_cut = ask("Runtime.callFunctionOn", asked | {"returnByValue": True})["result"][
            "value"
        ]
        found.append((text, is_cut))
    return sorted(found)


def test_what_a_field_is_for_is_not_cut(page: Page, folder: Path) -> None:
    page.open(folder / REPORT, MATRIX)
    unfold_all(page)

    assert placeholders(page) == [("any value", False), ("at least", False), ("at most", False)]
