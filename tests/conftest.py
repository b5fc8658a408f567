"""Both backends in virtual time; no key, no endpoint and no output folder but the test's own."""

import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from trio.testing import MockClock
from virtual_time import VirtualTimeLoop

HANGS: Final = 900.0
"""Seconds after which a test of processes hangs, on the slowest machine."""

hypothesis_settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("unhurried")

# Else each worker rewrites all tests anew, and each start of batchrun compiles all of it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


WORKERS: Final = 4
"""For each core: most slow tests wait for a process, a service, or a moment."""


@pytest.hookimpl(optionalhook=True)  # it is unknown without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` is."""
    return WORKERS * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a worker that is done take tests of the others."""
    from xdist.scheduler import (  # type: ignore[import-untyped]  # noqa: PLC0415  (where it is used)
        WorkStealingScheduling,
    )

    return WorkStealingScheduling(config, log)


MANY: Final = 8
"""Cases of a test of which trio doesn't play each by default."""


def _on_trio(item: pytest.Item) -> str | None:
    """Return the name of a test that is played on trio, without its case."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    on_trio = parameters.get("anyio_backend") == "trio"
    return item.nodeid.partition("[")[0] if on_trio else None


def _turn(item: pytest.Item) -> int:
    if "crash" in item.name or "main_job" in item.nodeid:
        return 0
    return 1 if item.get_closest_marker("slow") else 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound the slow tests by minutes: a busy machine is no reason to fail.

    Long ones come first, so that no worker begins one when the others are done. Of a test with many
    cases trio plays each third by default, and the others at night.
    """
    cases = Counter(map(_on_trio, items))
    numbers = Counter[str | None]()
    for item in items:
        name = _on_trio(item)
        if name is not None and cases[name] >= MANY:
            numbers[name] += 1
            if numbers[name] % 3 != 1:
                item.add_marker(pytest.mark.nightly)
    items.sort(key=_turn)
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(HANGS))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Every async test runs on both backends, in virtual time."""
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualTimeLoop}


TESTS: Final = itertools.count()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNFLOW_API_KEY", "RUNFLOW_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """Take back the handlers of a command that was called in this process."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in ending]
    yield
    for number, handler in zip(ending, before, strict=True):
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def pace_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the processes of this test share their pace, with each other only."""
    folder = tmp_path_factory.getbasetemp() / "pace" / str(next(TESTS))
    monkeypatch.setenv("BATCHRUN_PACE_FOLDER", str(folder))
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Return what makes a simulated service, with a state or none; each is closed in the end."""
    from test_simulator_batches import Service  # noqa: PLC0415  (few tests need it)

    made: list[Service] = []

    def new(state: Path | None = None, **settings: Any) -> Service:
        made.append(Service(state, **settings))
        return made[-1]

    yield new
    for service in made:
        service.world.store.close()
