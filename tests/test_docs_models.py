"""docs/models.md: the page that it shows is the real one, and its figures are the code's."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from batchrun.catalogue.asking import EACH, LONGEST
from batchrun.catalogue.entries import FRESH, FRESH_ABSENCE
from batchrun.catalogue.page import as_dict, model_page
from batchrun.runflow.descriptions import parse_description
from batchrun.simulator.model_views import model_object
from batchrun.simulator.models import MODELS
from batchrun.sweep.location import CATALOGUE

TEXT: Final = (Path(__file__).parent.parent / "docs" / "models.md").read_text("utf-8")
SHOWN: Final = "google/nano-banana-2/edit"
AT: Final = datetime(2026, 5, 1, tzinfo=UTC)


def test_the_page_that_it_shows_is_the_real_one() -> None:
    [shown] = re.findall(r"^```text\n\$ .*?\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    real = model_page(SHOWN, parse_description(model_object(MODELS[SHOWN])))
    lines = [" ".join(line.split()) for line in shown.splitlines() if line != "..."]

    assert lines[0] == SHOWN
    assert {line.replace("─", "") for line in lines} <= {
        " ".join(line.split()).replace("─", "") for line in real
    }


def test_the_fields_of_the_object_are_named() -> None:
    fields = as_dict(SHOWN, parse_description(model_object(MODELS[SHOWN])), AT)
    named = [
        part.split(", ") for part in re.findall(r"`(\w+(?:,\s+\w+)+)`", TEXT.replace("\n", " "))
    ]

    assert named[1:] == [list(fields), list(fields["inputs"][0])]


def test_its_times_are_the_code_s() -> None:
    assert timedelta(hours=24) == FRESH
    assert timedelta(hours=1) == FRESH_ABSENCE
    assert f"no answer within {EACH:.0f} seconds ({LONGEST:.0f} for all" in TEXT
    assert f"`outputs/{CATALOGUE}`" in TEXT
