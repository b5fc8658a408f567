"""docs/money.md: the plan that it shows is the real one, and its figures are the code's."""

import re
from pathlib import Path
from typing import Final

import pytest

from batchrun.cli import main
from batchrun.engine.budget import CAUTION
from batchrun.engine.price_history import MOST_OF_ALL, MOST_SIBLINGS
from batchrun.engine.prices import NEWEST

ROOT: Final = Path(__file__).parent.parent
TEXT: Final = (ROOT / "docs" / "money.md").read_text("utf-8")


@pytest.mark.slow
def test_the_plan_that_it_shows_is_the_real_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [shown] = re.findall(r"^```text\n\$ .*?\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    manifest = str(ROOT / "manifests" / "quickstart.yaml")
    assert main(["plan", manifest, "--outputs", str(tmp_path)]) == 0

    *lines, last = capsys.readouterr().out.splitlines()
    said = [line for line in lines if not line.startswith("the sweep's folder")]
    assert shown.splitlines()[:-1] == said
    assert last.endswith(shown.splitlines()[-1].partition("` ")[2])


def test_its_figures_are_the_code_s() -> None:
    assert f"the newest {NEWEST} runs of the same *choice*" in TEXT
    assert f"The newest {MOST_SIBLINGS} of their\nledgers" in TEXT
    assert MOST_OF_ALL // MOST_SIBLINGS == 512 * 1024
    assert "the last half MiB of each" in TEXT
    assert CAUTION == 4
