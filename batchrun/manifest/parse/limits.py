"""The parts of a manifest that say how a sweep runs, not what it makes."""

import re
from pathlib import Path
from typing import Any

from batchrun.base.values import (
    parse_batch_size,
    parse_count,
    parse_flag,
    parse_money,
    parse_rate,
    parse_seconds,
    parse_text,
    parse_wait,
)
from batchrun.manifest.data.local_files import placed
from batchrun.manifest.manifest import Limits, Sample
from batchrun.manifest.yaml.section import REQUIRED, Section

_DEFAULTS = Limits()


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


def read_limits(root: Section) -> Limits:
    section = root.section("limits", "{concurrency: 16, rate: 10/s}")
    if section is None:
        return _DEFAULTS
    limits = Limits(
        concurrency=section.take("concurrency", parse_count, _DEFAULTS.concurrency),
        rate=section.take("rate", parse_rate, _DEFAULTS.rate),
        attempts=section.take("attempts", parse_count, _DEFAULTS.attempts),
        timeout=section.take("timeout", parse_seconds, _DEFAULTS.timeout),
        settle=section.take("settle", parse_wait, _DEFAULTS.settle),
        budget=section.take("budget", parse_money, None),
        give_up=section.take("give_up", parse_seconds, _DEFAULTS.give_up),
        batch=section.take("batch", parse_batch_size, _DEFAULTS.batch),
    )
    section.close()
    return limits


def read_poll_interval(root: Section) -> float:
    section = root.section("poll", "{interval: 2s}")
    if section is None:
        return 2.0
    interval = section.take("interval", parse_seconds, 2.0)
    section.close()
    return interval


def read_outputs(root: Section, base: Path) -> tuple[Path | None, bool, Section | None]:
    """Return folder and download; the section stays open for `name`."""
    section = root.section("outputs", "{dir: ../outputs}")
    if section is None:
        return None, True, None
    folder = section.take("dir", lambda value: placed(base, parse_text(value)), None)
    download = section.take("download", parse_flag, default=True)
    return folder, download, section


def read_sample(root: Section) -> Sample | None:
    section = root.section("sample", "{n: 5}")
    if section is None:
        return None
    n = section.take("n", parse_count, REQUIRED)
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
