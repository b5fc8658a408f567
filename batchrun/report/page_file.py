"""The page itself: one HTML file with its code and its styles, and a policy of what it may load.

All text from outside stands in JSON, and in the title; the page's code makes text of it, never
markup. The policy is a second belt: a script runs only if it is the page's own, by the hash of its
text, or a file beside it; and nothing comes from a network.

The code is written as modules, for people and for TypeScript. A page that is opened from a disk may
not load modules, so they are put into one: in an order in which none needs a later one.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from batchrun.report.embedded import embedded
from batchrun.report.head import COUNTS, Head

MODULES: Final = (
    "text",
    "dom",
    "table",
    "data",
    "marks",
    "groups",
    "view",
    "layout",
    "media",
    "marking",
    "tile",
    "matrix",
    "walk",
    "viewer",
    "compare",
    "plots",
    "panel",
    "head",
    "main",
)
"""The modules of the page, each behind those that it imports."""

_IMPORT: Final = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=class |const |function |async function )", re.MULTILINE)


@cache
def code() -> str:
    """Return the page's modules as one."""
    texts = (source(f"{name}.js") for name in MODULES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def source(name: str) -> str:
    """Return one of the files that the page is made of."""
    return files("batchrun.report").joinpath("page", name).read_text("utf-8")


def page(head: Head, inside: Mapping[str, bytes]) -> bytes:
    """Return the page of *head*, with the chunks that stand *inside* it."""
    style, script = source("page.css"), code()
    policy = (
        f"default-src 'none'; script-src 'self' {_hash(script)}; style-src {_hash(style)}; "
        "img-src 'self' data:; media-src 'self' data:; base-uri 'none'; form-action 'none'"
    )
    data = {"head": embedded(head.as_dict()), **inside}
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="referrer" content="no-referrer">\n',
        f"<title>{escape(_visible(head.title))}: batchrun</title>\n",
        f"<style>{style}</style>\n</head>\n<body>\n<noscript>{_without_script(head)}</noscript>\n",
        *(_data(name, text) for name, text in data.items()),
        f'<script type="module">{script}</script>\n</body>\n</html>\n',
    ]
    return "".join(parts).encode("utf-8", "replace")


def _data(name: str, text: bytes) -> str:
    return f'<script type="application/json" id="data-{name}">{text.decode()}</script>\n'


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _visible(text: str) -> str:
    """Return *text* without marks that turn the direction of writing around."""
    return "".join(each if each.isprintable() else " " for each in text)


def _without_script(head: Head) -> str:
    """Return what is shown where scripts are switched off."""
    counts = ", ".join(f"{head.counts[name]:,} {name}" for name in COUNTS if head.counts.get(name))
    return (
        f"<h1>{escape(_visible(head.title))}</h1><p>{escape(counts)}; {escape(head.cost)} USD</p>"
        '<p>The tiles need JavaScript. All rows are in <a href="results.csv">results.csv</a>, all '
        'files in <a href="files/">files</a>.</p>'
    )
