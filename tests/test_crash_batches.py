"""Sweeps that send batches, killed with SIGKILL at every boundary: promises 1, 2 and 3.

As in test_crash_matrix.py; by default each boundary's first and last passing is played, and some of
the others.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from crash.lab import Lab, laboratory
from crash.matrix import Figures, Service, passings, sample
from crash.trial import BATCHES, Kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOG = logging.getLogger(__name__)

PROMPT = ["no_idempotency", "commit_late=0.2", "list_lag=0.3"]
"""What a service may do within `settle`."""

LATE = ["no_idempotency", "commit_late=0.6"]
"""What it may not, by the manifest below."""

HASTY = BATCHES.replace("settle: 800ms", "settle: 100ms")

ALL = ("--batches", "all")
TOLD = (*ALL, "--child-metadata")
NONE = ("--batches", "none")
PICKY = (*ALL, "--refuse-bad-items")
"""Refuses the whole of a batch for one of its items."""

LOST = "lost_answer@1/create_batch"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def service(lab: Lab, folder: Path, *options: str, faults: Sequence[str] = PROMPT) -> Service:
    return Service(lab=lab, folder=folder, faults=faults, options=options, manifest=BATCHES)


def single_kills(service: Service, most: int | None) -> Figures:
    """Kill a sweep at its boundaries, or at about so many of them."""
    standard = service.undisturbed()
    assert standard.lives[0].passed["create_batch sent"]
    kills = passings(standard.lives[0])
    figures = service.play([(kill,) for kill in sample(kills, most or len(kills))], standard)
    LOG.info("%s", figures)
    return figures
