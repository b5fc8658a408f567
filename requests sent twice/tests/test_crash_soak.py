"""A short soak: kills by chance, under faults that come and go. The long one is a benchmark."""

from pathlib import Path

import pytest
from crash.lab import laboratory
from crash.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_killed_by_chance_nothing_is_paid_twice_or_lost(tmp_path: Path) -> None:
    with laboratory() as lab:
        figures = soak(lab, tmp_path, kills=12, seed=7, cells=40, each=6)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.lost == 0
    assert figures.kills >= 12
    assert 0 < figures.of_batches < figures.runs
