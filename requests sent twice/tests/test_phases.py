"""Which phase may follow which: every pair, and who may change one."""

import ast
from itertools import product
from pathlib import Path

import pytest

import batchrun
from batchrun.engine.phases import AFTER, WAVE_AFTER, Phase, WavePhase, check, check_wave

ENGINE = Path(batchrun.__file__).parent / "engine"

ATTEMPTS = {
    (Phase.NEW, Phase.PREPARING),
    (Phase.NEW, Phase.IN_DOUBT),
    (Phase.NEW, Phase.RUNNING),
    (Phase.PREPARING, Phase.QUEUED),
    (Phase.PREPARING, Phase.ENDED),
    (Phase.QUEUED, Phase.PLACED),
    (Phase.QUEUED, Phase.ENDED),
    (Phase.PLACED, Phase.SENDING),
    (Phase.PLACED, Phase.SETTLING),
    (Phase.PLACED, Phase.ENDED),
    (Phase.SENDING, Phase.RUNNING),
    (Phase.SENDING, Phase.IN_DOUBT),
    (Phase.SENDING, Phase.PARKED_IN_DOUBT),
    (Phase.SENDING, Phase.SETTLING),
    (Phase.IN_DOUBT, Phase.SENDING),
    (Phase.IN_DOUBT, Phase.RUNNING),
    (Phase.IN_DOUBT, Phase.PARKED_IN_DOUBT),
    (Phase.IN_DOUBT, Phase.SETTLING),
    (Phase.RUNNING, Phase.PARKED),
    (Phase.RUNNING, Phase.SETTLING),
    (Phase.PARKED, Phase.SETTLING),
    (Phase.PARKED_IN_DOUBT, Phase.RUNNING),
    (Phase.SETTLING, Phase.ENDED),
}

WAVES = {
    (WavePhase.IDLE, WavePhase.POLLING),
    (WavePhase.IDLE, WavePhase.DOUBTED),
    (WavePhase.POLLING, WavePhase.IDLE),
    (WavePhase.POLLING, WavePhase.RESOLVING),
    (WavePhase.DOUBTED, WavePhase.RESOLVING),
    (WavePhase.RESOLVING, WavePhase.DOUBTED),
    (WavePhase.RESOLVING, WavePhase.POLLING),
}


@pytest.mark.parametrize(("now", "then"), list(product(Phase, Phase)))
def test_each_pair_of_phases_is_allowed_or_raises(now: Phase, then: Phase) -> None:
    if (now, then) in ATTEMPTS:
        check(now, then)
    else:
        with pytest.raises(AssertionError, match=f"from {now.name} to {then.name}"):
            check(now, then)


@pytest.mark.parametrize(("now", "then"), list(product(WavePhase, WavePhase)))
def test_each_pair_of_a_waves_phases_is_allowed_or_raises(now: WavePhase, then: WavePhase) -> None:
    if (now, then) in WAVES:
        check_wave(now, then)
    else:
        with pytest.raises(AssertionError, match=f"from {now.name} to {then.name}"):
            check_wave(now, then)


def test_no_phase_is_a_dead_end_and_each_can_be_reached() -> None:
    for table, first in ((AFTER, Phase.NEW), (WAVE_AFTER, WavePhase.IDLE)):
        reached, fresh = {first}, [first]
        while fresh:
            fresh = [then for now in fresh for then in table[now] if then not in reached]  # type: ignore[index]
            reached |= set(fresh)
        assert reached == set(type(first))
    ends = [phase for phase, after in AFTER.items() if not after]
    assert ends == [Phase.ENDED]


def test_one_module_changes_a_phase() -> None:
    """An assignment to `.phase`, or one made by keyword, stands in transitions.py alone.

    The two classes that have a phase give it its first value.
    """
    assert [name for path in ENGINE.glob("*.py") if changes(path) for name in [path.stem]] == [
        "transitions"
    ]


def changes(path: Path) -> list[int]:
    """Return the lines where a module changes a phase."""
    tree = ast.parse(path.read_text())
    starts = [
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    ]
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets):
                pass
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                targets = [target]
            case ast.NamedExpr(target=target):
                targets = [target]
            case ast.keyword(arg="phase", value=value):
                found.append(value.lineno)
                continue
            case ast.Call(func=ast.Name("setattr"), args=[_, ast.Constant("phase"), *_]):
                found.append(node.lineno)
                continue
            case _:
                continue
        found += [
            each.lineno
            for target in targets
            for each in ast.walk(target)
            if isinstance(each, ast.Attribute) and each.attr == "phase"
        ]
    return [line for line in found if line not in starts]


def test_a_second_module_that_changes_a_phase_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    for text in (
        "attempt.phase = Phase.RUNNING",
        "first, attempt.phase = 1, Phase.RUNNING",
        "Attempt(key='k', phase=Phase.RUNNING)",
        "setattr(attempt, 'phase', Phase.RUNNING)",
    ):
        path.write_text(text)
        assert changes(path) == [1], text
    path.write_text("if attempt.phase is Phase.RUNNING: pass")
    assert not changes(path)
