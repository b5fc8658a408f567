"""Text that is not YAML -> what is wrong with it, in words that help, and where.

libyaml and PyYAML's own parser word and place the same mistake differently, so neither's words are
shown where the mistake is a known one.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import yaml

from batchrun.base.first_bytes import wide_text
from batchrun.errors import Place, Problem

_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_KNOWN: Final = (
    ("scanning an alias", "`*` begins an alias; quote text that begins with `*`"),
    ("scanning an anchor", "`&` begins an anchor; quote text that begins with `&`"),
    (
        "sequence entries are not allowed",
        "a list cannot begin behind a key; put its first `-` on the next line, or quote the text",
    ),
    ("mapping values are not allowed", "a `:` cannot stand here; quote text that holds `: `"),
    ("unknown escape", r"`\` begins an escape in double quotes; write `\\` or use single quotes"),
    ("scanning a (?:quoted|double-quoted|single-quoted)", "the quote is not closed"),
    ("scanning a tag", "`!` begins a tag; quote text that begins with `!`"),
    (
        "scanning a (?:block|plain multi)",
        "a text block needs `|` or `>` alone, and indented lines; else quote the text",
    ),
    ("Unicode character escape", "this escape is half a character; write the character itself"),
    ("could not find expected ':'", "expected `key: value`"),
    ("parsing a flow", "expected `,` or the bracket that closes this"),
    ("incompatible YAML", "this version of YAML is unknown; leave the line out"),
    ("unknown directive|a directive", "a line cannot begin with `%`; quote the text"),
    ("parsing a block", "this does not line up with the lines above; check indents and quotes"),
)


def unreadable(data: bytes, error: UnicodeDecodeError, name: str) -> Problem:
    """Say which byte is not UTF-8; the line itself cannot be shown."""
    before = data[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    what = f"byte 0x{data[error.start]:02x} is not UTF-8"
    if kind := wide_text(data):
        what = f"this is {kind}"
    return Problem(Place(name, line, column), f"{what}; save the file as UTF-8")


def syntax_problem(error: yaml.YAMLError, lines: Sequence[str]) -> tuple[tuple[int, int], str, int]:
    """Return line and column (from 1), the message, and the caret's width."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _unprintable(lines)
    text = f"{error.context or ''} {error.problem or ''}"
    mark: Any = error.problem_mark
    if "any token" in text:
        return _strange_start(mark, lines)
    message = next((known for words, known in _KNOWN if re.search(words, text)), None)
    if "parsing a block" in text and _behind_an_end(mark, lines):
        message = "text goes on behind a quote or bracket that closes; quote all of it"
    if message is None:
        message = f"this is not YAML: {error.problem}"
    if re.search(r"quoted scalar|flow|alias|anchor", text) and error.context_mark is not None:
        mark, end = error.context_mark, error.problem_mark.line
        if "flow" in text and (slip := _slip(lines, mark.line, end + 1)):
            return slip
    return (mark.line + 1, mark.column + 1), message, 1


def _behind_an_end(mark: Any, lines: Sequence[str]) -> bool:
    before = lines[mark.line][: mark.column].rstrip() if mark.line < len(lines) else ""
    return before.endswith(('"', "'", "}", "]"))


def _slip(lines: Sequence[str], first: int, last: int) -> tuple[tuple[int, int], str, int] | None:
    """Find what usually breaks a `{ }` or `[ ]`: a bare `${...}`, a bracket or a `#` in text."""
    for found, message in _SLIPS:
        for number in range(first, min(last, len(lines))):
            bare = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), lines[number])
            if match := found.search(bare):
                start, end = match.span(match.lastindex or 0)
                return (number + 1, start + 1), message, end - start
    return None


_QUOTED: Final = re.compile(r"""(?<=[\[{,:\s])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')""")
_SLIPS: Final = (
    (re.compile(r"(?<!['\"\w])\$\{[^}]*\}?"), "quote a `${...}` inside `{ }` or `[ ]`"),
    (
        re.compile(r"^(?:(?!\s#).)*?[\w.!?%)](?<!_)[ \t]+(\{[^}]*\}?|\[[^\]]*\]?)"),
        "quote text that holds a bracket inside `{ }` or `[ ]`",
    ),
    (re.compile(r"(?<=\s)#.*"), "` #` begins a comment; quote text that holds one"),
)


def _strange_start(mark: Any, lines: Sequence[str]) -> tuple[tuple[int, int], str, int]:
    line = lines[mark.line] if mark.line < len(lines) else ""
    character = line[mark.column : mark.column + 1]
    if character == "\t" or not line[: mark.column + 1].strip():
        message = "a tab cannot indent in YAML; use spaces"
    else:
        message = f"text cannot begin with `{character}`; quote it"
    return (mark.line + 1, mark.column + 1), message, 1


def _unprintable(lines: Sequence[str]) -> tuple[tuple[int, int], str, int]:
    for number, line in enumerate(lines, start=1):
        if match := _UNPRINTABLE.search(line):
            code = f"U+{ord(match[0]):04X}"
            message = f'{code} cannot stand in YAML; write it as an escape in "double quotes"'
            return (number, match.start() + 1), message, 1
    return (1, 1), "this is not YAML", 1
