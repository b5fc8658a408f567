"""Sweeps that send batches, killed with SIGKILL at every boundary: promises 1, 2 and 3.

As in test_crash_matrix.py; by default an even sample of the passings is played, and those of the
batches' own requests.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from crash.lab import Lab, Life, laboratory
from crash.matrix import Figures, Service, passings, sample
from crash.trial import BATCHES, Kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOG = logging.getLogger(__name__)

PROMPT = ["no_idempotency", "commit_late=0.2", "list_lag=0.3"]
"""What a service may do within `settle`."""

LATE = ["no_idempotency", "commit_late=1.5"]
"""What it may not, by the manifest below."""

HASTY = BATCHES.replace("settle: 800ms", "settle: 100ms")

ALL = ("--batches", "all")
TOLD = (*ALL, "--child-metadata")
NONE = ("--batches", "none")
PICKY = (*ALL, "--refuse-bad-items")
"""Refuses the whole of a batch for one of its items."""

OURS = ("ledger.jsonl", "create", "batch", "list", "get", "account")
"""How the names of boundaries begin that batches have anything to do with."""

LOST = "lost_answer@1/create_batch"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def service(lab: Lab, folder: Path, *options: str, faults: Sequence[str] = PROMPT) -> Service:
    return Service(lab=lab, folder=folder, faults=faults, options=options, manifest=BATCHES)


def chosen(life: Life, most: int | None = None) -> list[Kill]:
    """Return the passings of ledger and requests; what becomes of the derived files, others ask.

    Of many the *most* of an even sample, and those of the batches' requests.
    """
    kills = [kill for kill in passings(life) if kill[0].startswith(OURS)]
    if most is None:
        return kills
    batches = [kill for kill in kills if "batch" in kill[0] and kill[1] == 1]
    return list(dict.fromkeys([*batches, *sample(kills, most - len(batches))]))


def single_kills(service: Service, most: int | None) -> Figures:
    """Kill a sweep at its boundaries, or at about so many of them."""
    standard = service.undisturbed()
    assert standard.lives[0].passed["create_batch sent"]
    figures = service.play([(kill,) for kill in chosen(standard.lives[0], most)], standard)
    LOG.info("%s", figures)
    return figures


DEFAULT = {
    "runs don't show what they were made for": (ALL, PROMPT),
    "the answer is lost": (ALL, [*PROMPT, LOST]),
    "refused": (NONE, PROMPT),
}


@pytest.mark.parametrize("kind", DEFAULT)
def test_killed_at_a_boundary_no_batch_is_paid_twice_or_lost(
    lab: Lab, tmp_path: Path, kind: str
) -> None:
    options, faults = DEFAULT[kind]

    figures = single_kills(service(lab, tmp_path, *options, faults=faults), most=24)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)
    assert figures.killed > 20


def test_what_a_batch_commits_late_is_found_recorded_and_said(lab: Lab, tmp_path: Path) -> None:
    late = Service(
        lab=lab, folder=tmp_path, faults=LATE, options=ALL, manifest=HASTY, late=True, at_once=8
    )
    kills: list[Kill] = [("create_batch sent", 1), ("create_batch head read", 1)]
    standard = late.undisturbed()

    figures = late.play([(kill,) for kill in kills], standard)

    LOG.info("%s", figures)
    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.extra == figures.paid_twice >= 12
    assert figures.lost == 0
