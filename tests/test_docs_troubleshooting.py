"""docs/troubleshooting.md: each message that it explains is one that batchrun says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from batchrun.errors import KILLED, PRECEDENCE

ROOT: Final = Path(__file__).parent.parent
TEXT: Final = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
QUOTED: Final = re.findall(r"\*\*`([^`]+)`\*\*", TEXT)


def texts() -> Iterator[str]:
    """Yield each text of the code but docstrings; `…` stands for what is put into it."""
    for path in (ROOT / "batchrun").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", "") for part in node.values)
                yield "".join(part if isinstance(part, str) else "…" for part in parts)


MESSAGES: Final = "\n".join(texts()).replace("`", "")


@pytest.mark.parametrize("quoted", QUOTED)
def test_each_message_that_it_explains_is_in_the_code(quoted: str) -> None:
    assert quoted in MESSAGES


def test_each_exit_code_that_needs_help_has_a_part() -> None:
    heads = " ".join(re.findall(r"^## (Exit .*)$", TEXT, re.MULTILINE))

    assert {int(code) for code in re.findall(r"\d+", heads)} == set(PRECEDENCE) - {0, KILLED}


def test_about_as_many_messages_as_are_likely_are_explained_once() -> None:
    assert len(QUOTED) == len(set(QUOTED))
    assert len(QUOTED) >= 30
