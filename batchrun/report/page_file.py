"""The page itself: one HTML file with its code and its styles, and a policy of what it may load.

All text from outside stands in JSON, or is escaped by the template; the page's code makes text of
it, never markup. The policy is a second belt: a script runs only if it is the page's own, by the
hash of its text, or a file beside it; and nothing comes from a network.

The code is written as modules, for people and for TypeScript. A page that is opened from a disk may
not load modules, so they are put into one: in an order in which none needs a later one.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined, Template

from batchrun.report.embedded import embedded
from batchrun.report.head import COUNTS, Head

MODULES: Final = (
    "text",
    "dom",
    "table",
    "data",
    "marks",
    "all_marks",
    "groups",
    "view",
    "labels",
    "layout",
    "media",
    "noting",
    "marking",
    "tile",
    "grid",
    "matrix_keys",
    "paper",
    "matrix",
    "walk",
    "viewer",
    "compare",
    "timeline",
    "strips",
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
    ours = {"head": head.as_dict(), "marks": head.marks_as_dicts()}
    data = {**{name: embedded(each) for name, each in ours.items()}, **inside}
    text = template().render(
        title=_visible(head.title),
        counts=_counts(head),
        cost=head.cost,
        has_labels=bool(head.sweeps),
        data={name: json.decode() for name, json in data.items()},
        style=style,
        style_hash=_hash(style),
        code=script,
        code_hash=_hash(script),
    )
    return text.encode("utf-8", "replace")


@cache
def template() -> Template:
    """Return the page's template: text is escaped in it, and what it isn't given is an error."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(source("report.html.j2"))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _visible(text: str) -> str:
    """Return *text* without marks that turn the direction of writing around."""
    return "".join(each if each.isprintable() else " " for each in text)


def _counts(head: Head) -> str:
    """Return how the cells stand, for where scripts are switched off."""
    return ", ".join(f"{head.counts[name]:,} {name}" for name in COUNTS if head.counts.get(name))
