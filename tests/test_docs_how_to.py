"""The tutorial and docs/how-to/: what they show is printed, what they name can be called."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from played_pages import BLOCK, edit, furnish, played, quick, write
from processes import environment

from batchrun.cli import COMMANDS, main
from batchrun.commands.options import Parser
from batchrun.results.rows import COLUMNS

DOCS: Final = Path(__file__).parent.parent / "docs"
HOW_TO: Final = sorted((DOCS / "how-to").glob("*.md"))
PAGES: Final = [DOCS / "tutorial.md", *HOW_TO]
PLAYED: Final = [page for page in PAGES if "```console" in page.read_text(encoding="utf-8")]
CALLING: Final = [DOCS.parent / "README.md", DOCS / "troubleshooting.md", *PAGES]
NIGHT: Final = DOCS / "how-to" / "cron-and-systemd.md"


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS.parent))


@pytest.mark.slow
@pytest.mark.parametrize("page", PLAYED, ids=name_of)
def test_a_page_shows_what_its_commands_print(tmp_path: Path, page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    again = played(text, tmp_path)

    assert again == text, f"look at it, then: PYTHONPATH=tests python -m played_pages {page}"


def commands(text: str) -> Iterator[str]:
    """Yield each call of batchrun that stands in code: in a block, by itself or in a sentence."""
    blocks = [block[3] for block in BLOCK.finditer(text)]
    rest = BLOCK.sub("", text)
    indented = re.findall(r"^ {4}(.*)$", rest, re.MULTILINE)
    prose = re.sub(r"^ {4}.*$|\*\*`.*?`\*\*", "", rest, flags=re.MULTILINE)
    spans = [span for span in re.findall(r"`([^`\n]+)`", prose) if span.count(" ") > 1]
    for line in [*"\n".join(blocks).splitlines(), *indented, *spans]:
        called = re.match(r"(?:\$ )?(?:.*&& |\S*/)?batchrun( .*|$)", line.strip())
        if called and called[1].strip():
            yield f"batchrun{called[1]}"


class ParsedError(Exception):
    """The command line was understood; nothing is done."""


def words_of(command: str) -> list[str]:
    """Return the words of a call, up to where the shell takes over."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        words.append(word)
    return words[1:]


@pytest.mark.parametrize(
    ("page", "command"),
    [
        pytest.param(page, command, id=f"{page.name}: {command}")
        for page in CALLING
        for command in dict.fromkeys(commands(page.read_text(encoding="utf-8")))
    ],
)
def test_each_command_that_a_page_names_is_understood(
    monkeypatch: pytest.MonkeyPatch, page: Path, command: str
) -> None:
    parse = Parser.parse_args

    def parsed(self: Parser, args: Any = None) -> Any:
        parse(self, args)
        raise ParsedError

    monkeypatch.setattr(Parser, "parse_args", parsed)
    words = words_of(command)
    if words[0] in {"--help", "--version"}:
        return
    name = words.pop(0) if words[0] in COMMANDS else "run"

    with pytest.raises(ParsedError):
        import_module(f"batchrun.commands.{name}").main(words)


def manifests(page: Path) -> list[str]:
    """Return the names of the manifests that a page has."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [name for language, name, body in blocks if name and language == "yaml"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_manifest_of_a_page_can_be_planned(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(tmp_path)
    for language, name, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "diff":
            edit(tmp_path / name, body)
        elif name:
            write(tmp_path / name, body)

    for name in manifests(page):
        with quick():
            code = main(["plan", str(tmp_path / name)])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        assert "nothing was sent" in shown.out


def test_there_are_manifests_and_commands_to_look_at() -> None:
    assert sum(len(manifests(page)) for page in HOW_TO) >= 8
    assert sum(len(list(commands(page.read_text("utf-8")))) for page in HOW_TO) >= 30
    assert len(PLAYED) >= 8


@pytest.mark.parametrize("page", HOW_TO, ids=name_of)
def test_a_how_to_is_about_a_page_and_says_what_may_go_wrong(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert "\n## What may go wrong\n" in text or page.name == "lost-files.md"
    assert "\nMore: [" in text
    assert len(text.splitlines()) <= 110


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_is_python_and_its_columns_are_the_results_own(page: Path) -> None:
    for language, name, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            compile(body, name or page.name, "exec")
        used = re.findall(r"\b[ab]\.(\w+)|\brows?\[\"(\w+)\"\]|\"(\w+)_(?:mon|tue)\"", body)
        known = {*COLUMNS, "prompt", "file"}
        assert {"".join(names) for names in used} <= known


@pytest.mark.slow
def test_the_nightly_script_speaks_of_a_bad_night(tmp_path: Path) -> None:
    """Of a good one it says nothing: the page itself shows that."""
    furnish(tmp_path)
    (tmp_path / "key").write_text("my-key\n")
    for _, name, body in BLOCK.findall(NIGHT.read_text(encoding="utf-8")):
        if name:
            write(tmp_path / name, body.replace("a lamp", "fail"))

    done = subprocess.run(
        [tmp_path / "nightly.sh"],
        cwd="/",
        env=environment() | {"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("night 20")
    assert "google-nano-banana-2: 1 of 2, " in done.stdout
