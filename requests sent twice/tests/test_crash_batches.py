"""Sweeps that send batches, killed with SIGKILL at every boundary: promises 1, 2 and 3.

As in test_crash_matrix.py; by default an even sample of the passings is played, and those of the
batches' own requests.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from crash.lab import Lab, Life, laboratory
from crash.matrix import Figures, Service, passings, sample
from crash.trial import BATCHES, Kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LOG = logging.getLogger(__name__)

PROMPT = ["no_idempotency", "commit_late=0.2", "list_lag=0.3"]
"""What a service may do within `settle`."""

LATE = ["no_idempotency", "commit_on_resend=0.3"]
"""What it may not, whatever `settle` is: what was on its way is committed after the next look."""

SPOILT = BATCHES.replace("a sofa]", "x]")
"""The last of its inputs is too short, and refused."""

HASTY = BATCHES.replace("settle: 800ms", "settle: 100ms")

ALL = ("--batches", "all")
TOLD = (*ALL, "--child-metadata")
NONE = ("--batches", "none")
PICKY = (*ALL, "--refuse-bad-items")
"""Refuses the whole of a batch for one of its items."""

OURS = ("ledger.jsonl", "create", "batch", "list", "get", "account")
"""How the names of boundaries begin that batches have anything to do with."""

LOST = "lost_answer@1/create_batch"

FAULTS = (
    *("lost_answer:30%", "error_after:30%", "error_after_html:30%", "half_answer:30%"),
    *("no_run_id:30%", "reset_after:30%", "error_before:30%", "throttle:30%"),
    *("list_lag=0.15", "page_cap=5", "next_pq", "list_no_filter", "list_ignores_filter"),
    *("list_empty_on_filter", "list_no_filter lost_answer:30%", "page_cap=5 lost_answer:30%"),
    *("list_empty_on_filter lost_answer:30%", "error_before:50%/batch lost_answer:30%"),
)

FIRST_KILLS: list[Kill] = [
    ("ledger.jsonl write half", 5),
    ("ledger.jsonl write half", 6),
    ("create_batch before", 1),
    ("create_batch sent", 1),
    ("create_batch read", 1),
    ("list read", 8),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def service(
    options: Sequence[str],
    faults: Sequence[str] = PROMPT,
    *,
    manifest: str = BATCHES,
    late: bool = False,
    recover: bool = False,
) -> Callable[[Lab, Path], Service]:
    """Return what makes a kind of service in a folder."""

    def make(lab: Lab, folder: Path) -> Service:
        return Service(
            lab=lab,
            folder=folder,
            faults=faults,
            options=options,
            manifest=manifest,
            late=late,
            held=late,
            recover=recover,
            at_once=8,
        )

    return make


def chosen(life: Life, most: int | None = None) -> list[Kill]:
    """Return the passings of ledger and requests; what becomes of the derived files, others ask.

    Of many the *most* of an even sample, and those of the batches' requests.
    """
    kills = [kill for kill in passings(life) if kill[0].startswith(OURS)]
    if most is None:
        return kills
    batches = [kill for kill in kills if "batch" in kill[0] and kill[1] == 1]
    return list(dict.fromkeys([*batches, *sample(kills, most - len(batches))]))


def single_kills(service: Service, most: int | None = None) -> Figures:
    """Kill a sweep at its boundaries, or at about so many of them."""
    standard = service.undisturbed()
    assert standard.lives[0].passed["create_batch sent"]
    figures = service.play([(kill,) for kill in chosen(standard.lives[0], most)], standard)
    LOG.info("%s", figures)
    return figures


def seconds(service: Service, first: Kill, most: int | None = None) -> Figures:
    """Kill a sweep at *first*, and the call that repairs it at its boundaries."""
    standard = service.undisturbed()
    repair = service.trial("repair", (first,)).play(service.lab).lives[1]
    figures = service.play([(first, kill) for kill in chosen(repair, most)], standard)
    LOG.info("%s", figures)
    return figures


SERVICES = {
    "runs don't show what they were made for": service(ALL),
    "runs show it": service(TOLD),
    "the answer is lost": service(ALL, [*PROMPT, LOST]),
    "refused": service(NONE),
    "refused for one item": service(PICKY, manifest=SPOILT),
}
BY_DEFAULT = ["runs don't show what they were made for", "the answer is lost", "refused"]


@pytest.mark.parametrize("kind", BY_DEFAULT)
def test_killed_at_a_boundary_no_batch_is_paid_twice_or_lost(
    lab: Lab, tmp_path: Path, kind: str
) -> None:
    figures = single_kills(SERVICES[kind](lab, tmp_path), most=12)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)
    assert figures.killed > 8


def test_what_a_batch_commits_late_is_found_recorded_and_said(lab: Lab, tmp_path: Path) -> None:
    late = service(ALL, LATE, manifest=HASTY, late=True)(lab, tmp_path)
    standard = late.undisturbed()

    figures = late.play([(("create_batch sent", 1),), (("create_batch head read", 1),)], standard)

    LOG.info("%s", figures)
    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.extra == figures.paid_twice >= 11
    assert figures.lost == 0


def test_the_call_that_looks_for_a_batch_is_killed_too(lab: Lab, tmp_path: Path) -> None:
    figures = seconds(service(ALL)(lab, tmp_path), ("create_batch sent", 1), most=12)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.killed > 15


@pytest.mark.parametrize("options", [ALL, TOLD])
def test_a_lost_ledger_of_batches_is_recovered(
    lab: Lab, tmp_path: Path, options: Sequence[str]
) -> None:
    recovering = service(options, recover=True)(lab, tmp_path)
    standard = recovering.undisturbed()

    figures = recovering.play([(("create_batch read", 1),), (("exit", 1),)], standard)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.killed == 2


@pytest.mark.nightly
@pytest.mark.parametrize("kind", SERVICES)
def test_killed_at_any_boundary(lab: Lab, tmp_path: Path, kind: str) -> None:
    figures = single_kills(SERVICES[kind](lab, tmp_path))

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)


@pytest.mark.nightly
@pytest.mark.parametrize("options", [ALL, TOLD, NONE])
def test_killed_at_any_boundary_where_it_commits_late(
    lab: Lab, tmp_path: Path, options: Sequence[str]
) -> None:
    late = service(options, LATE, manifest=HASTY, late=True)(lab, tmp_path)

    figures = single_kills(late)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.extra == figures.paid_twice > 0
    assert figures.lost == 0


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("options", [ALL, TOLD])
def test_under_faults_too(lab: Lab, tmp_path: Path, options: Sequence[str], fault: str) -> None:
    faults = ["no_idempotency", *fault.split()]

    figures = single_kills(service(options, faults)(lab, tmp_path), most=60)

    assert not figures.wrong, "\n".join(figures.wrong)


@pytest.mark.nightly
@pytest.mark.parametrize("first", FIRST_KILLS)
@pytest.mark.parametrize("options", [ALL, TOLD, NONE])
def test_the_call_that_repairs_is_killed_at_any_boundary(
    lab: Lab, tmp_path: Path, options: Sequence[str], first: Kill
) -> None:
    figures = seconds(service(options)(lab, tmp_path), first)

    assert not figures.wrong, "\n".join(figures.wrong)


@pytest.mark.nightly
@pytest.mark.parametrize("options", [ALL, TOLD])
def test_recover_is_killed_at_any_boundary(
    lab: Lab, tmp_path: Path, options: Sequence[str]
) -> None:
    recovering = service(options, recover=True)(lab, tmp_path)
    standard = recovering.undisturbed()
    interrupted: Kill = ("get before", 1)
    recovery = recovering.trial("recovery", (interrupted,)).play(lab).lives[1]
    # It asks for dozens of waves that aren't there, and one of these is like another.
    kills = [kill for kill in passings(recovery) if not kill[0].startswith("list") or kill[1] < 4]

    figures = recovering.play([(interrupted, kill) for kill in kills], standard)

    LOG.info("%s", figures)
    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.killed > 40
