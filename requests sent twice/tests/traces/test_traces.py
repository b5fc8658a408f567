"""The order of ledger lines, fsyncs, requests and answers stays as it is, moment by moment.

README.md in this folder says how a trace is read, and when one may change. This rewrites them:

    PYTHONPATH=tests python -m traces [NAME ...]
"""

from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from .expectations import NAMES, differences, strays, traced

SHOWN: Final = 60
"""Lines of a difference that the failure shows."""


@pytest.mark.parametrize("name", NAMES)
def test_what_happens_and_when_is_as_it_was(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "played"
    folder.mkdir()

    now = traced(name, folder)

    if difference := list(islice(differences(name, now.text), SHOWN)):
        whole = tmp_path / f"{name}.txt"
        whole.write_text(now.whole, encoding="utf-8")
        pytest.fail("\n".join([*difference, f"all events are in {whole}"]), pytrace=False)


def test_each_kept_trace_has_its_scenario() -> None:
    assert strays() == []
