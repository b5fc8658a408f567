"""The parts of a manifest that say how a sweep runs, not what it makes."""

import re
from pathlib import Path
from typing import Any

from batchrun.base.ceilings import MOST_DRAWN
from batchrun.base.values import parse_text, up_to
from batchrun.manifest.data.local_files import placed
from batchrun.manifest.manifest import Sample
from batchrun.manifest.yaml.section import REQUIRED, Section
from batchrun.settings import in_section


def parse_name(value: object) -> str:
    """Parse a sweep's name, which is a folder's name too."""
    text = parse_text(value)
    if re.search(r'[\x00-\x1f/\\:*?"<>|]', text) or text.strip(" .") != text or text[0] in "@-":
        raise ValueError(
            "expected a name that can be a folder's, without / and not beginning with @"
        )
    if len(text.encode()) > 100:
        raise ValueError("expected a name of at most 100 bytes")
    return text


def read_settings(root: Section) -> dict[str, Any]:
    """Return the settings that `limits`, `poll` and `callbacks` give, by the fields of Settings."""
    chosen: dict[str, Any] = {}
    for name, such_as in (
        ("limits", "{concurrency: 16, rate: 10/s}"),
        ("poll", "{interval: 2s}"),
        ("callbacks", "{url: https://me.example/batchrun}"),
    ):
        section = root.section(name, such_as)
        if section is not None:
            chosen |= take_settings(section, name)
            if name == "callbacks" and section.find("url") is None:
                section.take("url", parse_text)  # which is missing
            section.close()
    return chosen


def take_settings(section: Section, name: str) -> dict[str, Any]:
    """Return the settings that a section gives; it stays open for its other keys."""
    chosen = {
        each.name: section.take(key, each.reader, None) for key, each in in_section(name).items()
    }
    return {name: value for name, value in chosen.items() if value is not None}


def read_outputs(root: Section, base: Path) -> tuple[Path | None, dict[str, Any], Section | None]:
    """Return the folder and the settings of `outputs`; the section stays open for `name`."""
    section = root.section("outputs", "{dir: ../outputs}")
    if section is None:
        return None, {}, None
    folder = section.take("dir", lambda value: placed(base, parse_text(value)), None)
    return folder, take_settings(section, "outputs"), section


def read_sample(root: Section) -> Sample | None:
    section = root.section("sample", "{n: 5}")
    if section is None:
        return None
    n = section.take("n", up_to(MOST_DRAWN), REQUIRED)
    seed = section.take("seed", _whole, 1)
    section.close()
    return Sample(n, seed) if type(n) is int else None


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("expected a whole number")
    return value


def parse_model_id(value: object) -> str:
    """Parse a model id: two or more segments, each of which is one part of a URL's path."""
    text = value if type(value) is str else ""
    parts = text.split("/")
    if len(parts) < 2 or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("expected a model id such as google/nano-banana-2")
    if re.search(r"[\s?#%\x00-\x1f\x7f\\]", text) or "://" in text:
        raise ValueError("expected a model id such as google/nano-banana-2, and nothing but it")
    return text


def parse_alias(value: object) -> str:
    """Parse an alias: it stands in file names, tables and on the command line."""
    text = value if type(value) is str else ""
    if not re.fullmatch(r"\w[\w.+ -]*", text) or text != text.strip() or len(text) > 100:
        raise ValueError("expected letters, digits and . _ - +")
    return text
