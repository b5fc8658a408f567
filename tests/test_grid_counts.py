"""What is counted while the engine draws is what a walk of its own would have counted."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ledger_lines import NOON, SWEEP, finished, intent, saved, submitted
from msgspec.structs import replace

from batchrun.base.disk import InlineDisk
from batchrun.commands import grid_counts
from batchrun.commands.grid_counts import Alongside, GridWalk, Totals
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.results.result_files import write_results

TEXT = """\
models:
  - {id: google/nano-banana-2, alias: banana, repeat: 2}
  - {id: google/nano-banana-2, alias: again}
  - {id: bytedance/seedance, alias: seedance, inputs: {style: [oil, ink]}}
inputs: {prompt: [a, b, c, a], seed: {$range: [1, 5]}}
include:
  - {prompt: one more}
exclude:
  - {model: seedance, seed: 3}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "chairs.yaml").write_text(TEXT, encoding="utf-8")
    return load_manifest(tmp_path / "chairs.yaml", {})


@contextmanager
def again(folder: Path) -> Iterator[Ledger]:
    """Hold the ledger as the next call does, which writes first that it has begun."""
    with open_ledger(folder, disk=InlineDisk(), clock=lambda: NOON) as ledger:
        yield ledger


async def first_call(folder: Path, cells: list[Cell]) -> None:
    """Do all *cells*; every tenth fails, another tenth is not saved."""
    with again(folder) as ledger:
        await ledger.append(SWEEP)
        for number, key in enumerate(dict.fromkeys(cell.key for cell in cells)):
            status = "failed" if number % 10 == 3 else "succeeded"
            await ledger.append(intent(key), submitted(key), finished(key, status=status))
            if number % 10 not in {3, 7}:
                await ledger.append(saved(key))


def by_itself(folder: Path, ledger: Ledger, manifest: Manifest) -> Totals:
    own = GridWalk(folder, manifest.settings(), ledger, since=ledger.untouched_since)
    for _ in own.over(expand(manifest)):
        pass
    return own.totals()


def draw(
    alongside: Alongside, manifest: Manifest, chance: random.Random, most: int = 10**9
) -> None:
    """Draw from each model's cells as it comes, as an engine does whose models have their limits.

    *most* is how far one may be ahead.
    """
    streams = {model.alias: alongside.points(model) for model in manifest.models}
    heads = {alias: next(stream) for alias, stream in streams.items()}
    while heads:
        first = min(each.ordinal for each in heads.values())
        near = [alias for alias, each in heads.items() if each.ordinal - first <= most]
        alias = chance.choice(near)
        with suppress(StopIteration):
            heads[alias] = next(streams[alias])
            continue
        del heads[alias]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stale", [False, True])
async def test_what_was_drawn_in_any_order_counts_as_the_grid_does(
    tmp_path: Path, manifest: Manifest, seed: int, *, stale: bool
) -> None:
    cells = list(expand(manifest))
    await first_call(tmp_path, cells[: len(cells) // 2] if stale else cells)
    with again(tmp_path) as ledger:
        since = ledger.untouched_since
        if not stale:
            write_results(tmp_path, manifest, ledger)
        with Alongside(manifest, manifest.settings(), ledger, tmp_path) as alongside:
            await ledger.append(SWEEP)
            draw(alongside, manifest, random.Random(seed))
            totals = alongside.totals()

        assert since is not None
        assert totals == by_itself(tmp_path, ledger, manifest)
        assert totals is not None
        assert totals.results_stand is not stale
        assert totals.failures
        assert totals.counted.tally.folded


async def test_what_has_happened_meanwhile_is_not_counted_as_it_was(
    tmp_path: Path, manifest: Manifest
) -> None:
    cells = list(expand(manifest))
    await first_call(tmp_path, cells[:-1])
    for moment in ("before", "amid", "after"):
        with (
            again(tmp_path) as ledger,
            Alongside(manifest, manifest.settings(), ledger, tmp_path) as seen,
        ):
            streams = [seen.points(model) for model in manifest.models]
            record = intent(f"another {moment}")
            if moment == "before":
                await ledger.append(record)
            for place, stream in enumerate(streams):
                next(stream)
                if moment == "amid" and not place:
                    await ledger.append(record)
            drawn = sum(1 for stream in streams for _ in stream)
            if moment == "after":
                await ledger.append(record)

            assert drawn == len(cells) - len(streams)
            assert seen.totals() is None


async def test_a_grid_that_was_not_drawn_to_its_end_is_not_counted(
    tmp_path: Path, manifest: Manifest
) -> None:
    await first_call(tmp_path, list(expand(manifest)))
    with (
        again(tmp_path) as ledger,
        Alongside(manifest, manifest.settings(), ledger, tmp_path) as alongside,
    ):
        *others, last = [alongside.points(model) for model in manifest.models]
        for stream in others:
            for _ in stream:
                pass
        for _ in range(3):
            next(last)

        assert alongside.totals() is None


async def test_cells_of_a_model_far_ahead_are_not_kept(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid_counts, "APART", 5)
    await first_call(tmp_path, list(expand(manifest)))
    with again(tmp_path) as ledger:
        for ahead, kept in ((0, True), (10**9, False)):
            with Alongside(manifest, manifest.settings(), ledger, tmp_path) as alongside:
                draw(alongside, manifest, random.Random(1), most=ahead)

                assert (alongside.totals() is not None) is kept


async def test_with_cells_chosen_nothing_is_counted_on_the_way(
    tmp_path: Path, manifest: Manifest
) -> None:
    settings = replace(manifest.settings(), only={"alias": ("banana",)})
    await first_call(tmp_path, list(expand(manifest)))
    with again(tmp_path) as ledger, Alongside(manifest, settings, ledger, tmp_path) as alongside:
        draw(alongside, manifest, random.Random(1))

        assert alongside.totals() is None
