"""All pages: each has its place on the index, and each link leads somewhere."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
INDEX: Final = ROOT / "docs" / "README.md"
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8")):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_each_page_is_on_the_index() -> None:
    linked = {
        (INDEX.parent / link.partition("#")[0]).resolve()
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", INDEX.read_text("utf-8"))
    }

    assert set(PAGES) - linked <= {INDEX, *ROOT.glob("*.md")}
    assert {ROOT / "README.md", ROOT / "CONTRIBUTING.md"} <= linked


def test_the_index_has_the_four_kinds_of_pages() -> None:
    heads = re.findall(r"^## (.+)$", INDEX.read_text("utf-8"), re.MULTILINE)

    assert heads == ["Tutorial", "How to", "Reference", "Explanation", "For contributors"]
