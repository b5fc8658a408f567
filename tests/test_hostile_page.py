"""Whatever comes from outside is text on the page, seen as it is, and harms nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page, chromium, needs_browser
from report_pages import head, row, written
from test_report_page import SEEN, picture

from batchrun.base.output_store import OutputStore
from batchrun.ledger.records import Saved, SavedFile
from batchrun.report.single_file import SINGLE, write_single
from batchrun.report.thumbnails import Thumbnails
from batchrun.results.result_files import REPORT

pytestmark = [pytest.mark.slow, needs_browser, pytest.mark.xdist_group("browser")]

OF_OBJECTS: Final = ("__proto__", "constructor", "toString", "hasOwnProperty", "valueOf")

TEXTS: Final = {
    "a script": "<script>alert(1)</script>",
    "the end of one": "</script><script>alert(1)</script>",
    "the end of a section": "]]> <![CDATA[ --> <!--",
    "a picture": '"><img src=x onerror=alert(1)>',
    "an address": "javascript:alert(1)",
    "a page": "data:text/html,<script>alert(1)</script>",
    "turned around": "a\u202eb\u2066c\u200fd",
    "controls": "a\x00b\x1b[31mc\x07d\x85e",
    "half a character": "a\ud800b\udfffc",
    "hidden": "a\U000e0041b\ufeffc",
}

NAMES: Final = (
    *("a #1?.png", "100% %41.png", "two  spaces .png", "\"quoted\" 'twice'.png"),
    *("line\nbreak.png", "cafe\u0301.png", "caf\xe9.png", "\u65e5\u672c \U0001f600.png"),
    *("<img src=x>.png", "&amp;.png", "a\\b.png", "javascript:alert(1).png", "~.png"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Page(driver)


def facts(page: Page) -> dict[str, str]:
    """Return the inputs at full size, by their names."""
    found: list[str] = page.js("""
        const list = [...document.querySelectorAll(".facts dl")].at(-1);
        return [...list.children].map((each) => each.textContent);
    """)
    return dict(zip(found[::2], found[1::2], strict=True))


@pytest.mark.parametrize("name", [REPORT, SINGLE])
def test_inputs_may_be_called_as_what_each_object_has(
    page: Page, tmp_path: Path, name: str
) -> None:
    values: dict[str, Any] = {name: f"my {name}" for name in OF_OBJECTS}
    values["nested"] = {name: [{name: 1}] for name in OF_OBJECTS}
    rows = [row("c1", values), row("c2", values | {"constructor": "other", "__proto__": {"a": 1}})]
    written(tmp_path, rows)
    store = OutputStore(tmp_path)
    write_single(store, head, lambda: iter(rows), Thumbnails(store, until=lambda: False))

    page.open(tmp_path / name, "#row=__proto__&column=constructor&size=128&open=0")

    shown = facts(page)
    assert list(shown) == list(values)
    assert [shown[each] for each in OF_OBJECTS] == [f"my {each}" for each in OF_OBJECTS]
    assert shown["nested"].startswith('{"__proto__":[{"__proto__":1}],"constructor":')
    assert sorted(page.texts(".side")) == ['__proto__ {"a":1}', "my __proto__"]
    assert page.texts(".head") == ["my constructor", "other"]
    assert page.errors == []


@pytest.mark.parametrize("name", OF_OBJECTS)
def test_aliases_codes_and_values_may_be_called_so(page: Page, tmp_path: Path, name: str) -> None:
    failed: dict[str, Any] = {"status": "failed", "failure_code": name, "failure_message": name}
    rows = [row("c1", {"prompt": name}, alias=name), row("c2", {"prompt": "b"}, **failed)]
    failures = [{"alias": name, "code": name, "message": name, "count": 1}]
    written(tmp_path, rows, name=name, label=name, failures=failures, models={name: name})

    page.open(tmp_path / REPORT, f'#row=prompt&column=alias&size=128&only.prompt="{name}"&open=0')

    assert page.texts(".side") == [name]
    assert page.texts(".title") == [f"{name} · {name} · succeeded"]
    page.js("location.hash = ''")
    page.wait("document.querySelectorAll('[data-point]').length === 2")
    page.js("document.querySelector('.failures').open = true")
    page.click(".failures button")
    page.wait("document.querySelectorAll('[data-point]').length === 1")
    assert page.errors == []


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_seen_and_does_nothing(page: Page, tmp_path: Path, text: str) -> None:
    file = SavedFile(path=f"files/{text}", bytes=9, sha256="a", content_type=f"image/{text}")
    saved = Saved(cell="c", run_id=text, files=(file,), at="t")
    failed: dict[str, Any] = {"status": text, "failure_code": text, "failure_message": text}
    values = {text: text, "other": {text: [text]}}
    rows = [row("c0", values, saved, **failed), row("c1", {text: "b", "other": 1}, **failed)]
    failures = [{"alias": text, "code": text, "message": text, "count": 1}]
    of_sweep: dict[str, Any] = {"name": text, "label": text, "endpoint": text, "next": text}
    written(tmp_path, rows, failures=failures, models={"banana": text}, **of_sweep)

    page.open(tmp_path / REPORT, "#size=168&open=0")
    page.js("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    page.click(".viewer [data-mark=note]")
    page.js(
        "document.querySelector('textarea').value = arguments[0]",
        text.encode("utf-8", "replace").decode(),
    )
    page.all(".noting button")[0].click()
    page.press("\ue00c")
    page.click("[data-key=plots]")

    assert [each for each in page.errors if "Failed to load resource" not in each] == []
    assert page.js("return document.querySelectorAll('script:not([id^=data-])').length") == 1
    assert not page.js("return [...document.images].some((e) => e.getAttribute('src') === 'x')")
    links = page.js("return [...document.querySelectorAll('a')].map((e) => e.protocol)")
    assert set(links) <= {"file:"}
    for mark in "\u202e\u2066\u200f\x00\x1b\x07\x85\U000e0041\ufeff":
        assert not page.js(SEEN, mark)


def test_files_have_names_of_all_kinds(page: Page, tmp_path: Path) -> None:
    files = tuple(picture(tmp_path, name, "red") for name in NAMES)
    files += tuple(picture(tmp_path, f"more {number}.png", "blue") for number in range(40))
    saved = Saved(cell="c", run_id="r", files=files, at="t")
    written(tmp_path, [row("c1", {"seed": 1}, saved)])

    page.open(tmp_path / REPORT, "#size=168&open=0")

    for place in range(len(NAMES)):
        page.click(f"[data-key='place {place}']")
        page.wait("document.querySelector('.stage img')?.naturalWidth === 40")
        [link] = page.all(".facts .buttons a")
        assert link.get_attribute("protocol") == "file:"
    assert len(page.all(".places button")) == len(files)
    assert page.errors == []


def test_much_of_anything_is_shown(page: Page, tmp_path: Path) -> None:
    long = "word " * 20_000
    many = {f"input {number}": number for number in range(1000)}
    rows = [row(f"c{n}", {"prompt": f"{n} {long}", **many}) for n in range(40)]
    written(tmp_path, rows)

    page.open(tmp_path / REPORT, "#row=prompt&column=alias&size=96&open=0")

    assert len(facts(page)) == 1001
    assert len(facts(page)["prompt"]) == len(long) + 2
    page.press("\ue00c")
    assert page.js("return document.querySelector('main').outerHTML.length") < 100_000
    page.js("document.querySelectorAll('aside details').forEach((each) => (each.open = true))")
    page.wait("document.querySelectorAll('aside .choice').length > 39")
    assert page.errors == []


def test_values_are_shown_exactly(page: Page, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "huge": 12345678901234567890,
        "near": -(2**53) - 1,
        "nested": [{"seed": 2**63, "deep": [[1, [True, None]]]}],
        "number": 1,
        "text": "1",
        "truth": True,
        "word": "true",
        "none": None,
        "empty": "",
        "infinite": float("inf"),
        "marked": '{"$number":"5"}',
        "small": 0.1,
    }
    rows = [
        row(f"c{n}", values | {"seed": seed}) for n, seed in enumerate((2**53, 2**53 + 1, "1", 1))
    ]
    written(tmp_path, rows)

    page.open(tmp_path / REPORT, "#row=seed&column=alias&size=96&open=0")

    assert facts(page) == {
        "huge": "12345678901234567890",
        "near": "-9007199254740993",
        "nested": '[{"seed":9223372036854775808,"deep":[[1,[true,null]]]}]',
        "number": "1",
        "text": '"1"',
        "truth": "true",
        "word": '"true"',
        "none": "null",
        "empty": '""',
        "infinite": "inf",
        "marked": '{"$number":"5"}',
        "small": "0.1",
        "seed": "9007199254740992",
    }
    assert page.texts(".side") == [
        "seed 9007199254740992",
        "seed 9007199254740993",
        '"1"',
        "seed 1",
    ]
    assert page.errors == []


@pytest.mark.parametrize(
    ("name", "kind", "links"),
    [
        ("a.png", "image/png", 1),
        ("a.webm", "video/webm", 1),
        ("a.txt", "text/plain", 1),
        ("a.json", "application/json", 1),
        ("a.svg", "image/svg+xml", 0),
        ("a.svg", "image/odd", 0),
        ("a.xml", "image/odd", 0),
        ("a.XHTML", "image/png", 0),
        ("a.html", "text/plain", 0),
        ("a.txt", "text/html", 0),
        ("a.bin", "image/png", 0),
    ],
)
def test_only_files_without_programs_are_opened_by_themselves(
    page: Page, tmp_path: Path, name: str, kind: str, links: int
) -> None:
    file = SavedFile(path=name, bytes=9, sha256="a", content_type=kind)
    written(tmp_path, [row("c", {}, Saved(cell="c", run_id="r", files=(file,), at="t"))])

    page.open(tmp_path / REPORT, "#size=168&open=0")

    assert page.texts(".viewer a") == ["open the file"] * links
