"""Plain words: a component has its name, and the private words of earlier versions stay gone."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
GONE: Final = re.compile(
    r"(?<!\.)\b(nobody|whoever|somebody|anybody|everybody|untold|retold|told|tells?)\b",
    re.IGNORECASE,
)
"""A noun of docs/glossary.md, or the component's name, stands in their place."""

PAGES: Final = sorted(
    path
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("batchrun/**/*.py")]
    if path.name not in {"CHANGELOG.md", "benchmarks.md"}  # history; made by a program
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_private_words_are_gone(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if GONE.search(line)] == []
