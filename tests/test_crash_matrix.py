"""Killed with SIGKILL at every boundary, repaired, and read: promises 1, 2 and 3.

The matrix is enumerated, not sampled: an undisturbed sweep counts how often it passes each
boundary. By default each boundary kills once, and each write also in its middle; at night each
(boundary, passing) is a trial of its own. See docs/crash-safety.md.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash.lab import SECRET, Lab, Life, laboratory
from crash.matrix import Figures, Service, once_each, part, passings
from crash.trial import CALLBACKS, MANIFEST, Kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LOG = logging.getLogger(__name__)

PROMPT = ["no_idempotency", "commit_late=0.2", "list_lag=0.3"]
"""What a service may do within `settle`."""

LATE = ["no_idempotency", "commit_on_resend=0.3"]
"""What it may not, whatever `settle` is: what was on its way is committed after the next look."""

HASTY = MANIFEST.replace("settle: 800ms", "settle: 100ms")

TWICE = ["no_idempotency", "commit_late=0.6"]
STEADY = MANIFEST.replace("settle: 800ms", "settle: 400ms")
"""What is committed within twice `settle` is found however many calls were killed."""

FIRST_KILLS: list[Kill] = [
    ("ledger.jsonl write half", 2),
    ("create before", 1),
    ("create sent", 2),
    ("create read", 3),
    ("ledger.jsonl write half", 4),
    ("get read", 1),
    ("output replace after", 1),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


PARTS = 6
"""Tests that share the boundaries, so that workers share them."""


def single_kills(service: Service, choose: Callable[[Life], list[Kill]] = passings) -> Figures:
    standard = service.undisturbed()
    kills = [(kill,) for kill in choose(standard.lives[0])]
    figures = service.play(kills, standard)
    LOG.info("%s", figures)
    return figures


def prompt(lab: Lab, folder: Path) -> Service:
    return Service(lab=lab, folder=folder, faults=PROMPT)


def late(lab: Lab, folder: Path) -> Service:
    return Service(
        lab=lab, folder=folder, faults=LATE, manifest=HASTY, late=True, held=True, at_once=16
    )


@pytest.mark.parametrize("number", range(PARTS))
def test_killed_at_each_boundary_nothing_is_paid_twice_or_lost(
    lab: Lab, tmp_path: Path, number: int
) -> None:
    figures = single_kills(prompt(lab, tmp_path), lambda life: part(once_each(life), number, PARTS))

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)
    assert figures.killed > 3


def test_the_parts_are_all_boundaries(lab: Lab, tmp_path: Path) -> None:
    life = prompt(lab, tmp_path).undisturbed().lives[0]
    names = {name for name, _ in passings(life)}

    kills = [kill for number in range(PARTS) for kill in part(once_each(life), number, PARTS)]

    assert sorted(kills) == sorted(once_each(life))
    assert {name for name, _ in kills} == names
    assert len(names) > 50


def test_what_a_service_commits_late_is_found_recorded_and_said(lab: Lab, tmp_path: Path) -> None:
    """The kills at a request, and at what is written of it: no other makes a run that is late."""

    def chosen(life: Life) -> list[Kill]:
        return [kill for kill in once_each(life) if kill[0].startswith(("create", "ledger"))]

    figures = single_kills(late(lab, tmp_path), chosen)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.extra == figures.paid_twice
    assert figures.extra  # of the flaky cell's second POST at least, which is sent alone
    assert figures.lost == 0


def called(lab: Lab, folder: Path) -> Service:
    options = ["--callback-secret", SECRET]
    return Service(lab=lab, folder=folder, faults=PROMPT, options=options, manifest=CALLBACKS)


def test_killed_as_callbacks_come_nothing_is_paid_twice_or_lost(lab: Lab, tmp_path: Path) -> None:
    def chosen(life: Life) -> list[Kill]:
        heard = [kill for kill in passings(life) if kill[0].startswith("callback")]
        assert len(heard) > 4
        return heard + [kill for kill in once_each(life) if kill[0].startswith("create")]

    figures = single_kills(called(lab, tmp_path), chosen)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)
    assert figures.killed > 6


@pytest.mark.nightly
def test_killed_at_each_passing_of_a_call_that_is_called_back(lab: Lab, tmp_path: Path) -> None:
    figures = single_kills(called(lab, tmp_path))

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)


@pytest.mark.nightly
def test_killed_at_each_passing_nothing_is_paid_twice_or_lost(lab: Lab, tmp_path: Path) -> None:
    figures = single_kills(prompt(lab, tmp_path))

    assert not figures.wrong, "\n".join(figures.wrong)
    assert (figures.paid_twice, figures.lost) == (0, 0)
    assert figures.killed > 200


@pytest.mark.nightly
def test_at_each_passing_what_is_committed_late_is_found(lab: Lab, tmp_path: Path) -> None:
    figures = single_kills(late(lab, tmp_path))

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.extra == figures.paid_twice > 0
    assert figures.lost == 0


@pytest.mark.nightly
def test_recover_is_killed_at_any_boundary(lab: Lab, tmp_path: Path) -> None:
    manifest = MANIFEST.replace("settle: 800ms", "settle: 200ms")
    service = Service(
        lab=lab, folder=tmp_path, faults=["no_idempotency"], manifest=manifest, recover=True
    )
    standard = service.undisturbed()
    interrupted = ("output replace after", 1)
    recovery = service.trial("recovery", (interrupted,)).play(lab).lives[1]
    # It asks for dozens of waves that aren't there, and one of these is like another.
    kills = [kill for kill in passings(recovery) if not kill[0].startswith("list") or kill[1] < 4]

    figures = service.play([(interrupted, kill) for kill in kills], standard)

    LOG.info("%s", figures)
    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.killed > 40


@pytest.mark.nightly
@pytest.mark.parametrize(
    "fault",
    [
        "lost_answer:40%",
        "error_after:40%",
        "error_after_html:40%",
        "half_answer:40%",
        "no_run_id:40%",
        "error_before:30%",
        "throttle:30%",
        "list_lag=0.15",
        "page_cap=1",
        "next_pq",
        "list_no_filter",
        "list_ignores_filter",
        "list_empty_on_filter",
    ],
)
def test_under_faults_too(lab: Lab, tmp_path: Path, fault: str) -> None:
    figures = single_kills(Service(lab=lab, folder=tmp_path, faults=["no_idempotency", fault]))

    assert not figures.wrong, "\n".join(figures.wrong)


ODD: dict[str, list[str]] = {
    "references in capitals": ["list_refs=upper"],
    "references cut": ["list_refs=cut"],
    "references with a prefix": ["list_refs=prefix"],
    "references with a blank": ["list_refs=blank"],
    "lists end early": ["list_ends=1"],
    "requests sent twice": ["post_twice"],
    "the answer of another request": ["last_answer@2,3/create"],
    "no metadata in lists": ["leave_out=metadata/list"],
    "no references in lists": ["leave_out=client_ref/list"],
    "filter refused": ["list_no_filter"],
    "filter ignored": ["list_ignores_filter"],
    "filter answers empty": ["list_empty_on_filter"],
    "pages of one": ["page_cap=1"],
    "listed late": ["list_lag=0.4"],
}
"""Evidence that is hidden or twisted in the service's answers; some answers are lost, too."""

BY_DEFAULT = ("references cut", "lists end early", "no metadata in lists")


def odd(lab: Lab, folder: Path, name: str) -> Service:
    return Service(
        lab=lab,
        folder=folder,
        faults=["no_idempotency"],
        odd=[*ODD[name], "lost_answer@1,4/create"],
        late=name == "requests sent twice",
    )


@pytest.mark.parametrize("name", BY_DEFAULT)
def test_killed_at_a_request_hidden_evidence_pays_nothing_twice(
    lab: Lab, tmp_path: Path, name: str
) -> None:
    def chosen(life: Life) -> list[Kill]:
        return [kill for kill in once_each(life) if kill[0] in {"create sent", "create read"}]

    figures = single_kills(odd(lab, tmp_path, name), chosen)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.lost == 0
    assert figures.killed


@pytest.mark.nightly
@pytest.mark.parametrize("name", ODD)
def test_killed_at_each_boundary_hidden_evidence_pays_nothing_twice(
    lab: Lab, tmp_path: Path, name: str
) -> None:
    figures = single_kills(odd(lab, tmp_path, name), once_each)

    assert not figures.wrong, "\n".join(figures.wrong)
    assert figures.lost == 0
    assert figures.killed > 40


@pytest.mark.nightly
@pytest.mark.parametrize("first", FIRST_KILLS)
@pytest.mark.parametrize("late", [False, True])
def test_the_call_that_repairs_is_killed_too(
    lab: Lab, tmp_path: Path, first: Kill, *, late: bool
) -> None:
    service = Service(
        lab=lab,
        folder=tmp_path,
        faults=TWICE if late else PROMPT,
        manifest=STEADY if late else MANIFEST,
        late=late,
        at_once=16,
    )
    standard = service.undisturbed()
    repair = service.trial("repair", (first,)).play(lab).lives[1]

    figures = service.play([(first, second) for second in passings(repair)], standard)

    LOG.info("%s", figures)
    assert not figures.wrong, "\n".join(figures.wrong)
