"""The looks that a finished label owes are paid by the next call of another label (rule 14)."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
from engine_world import World
from inline_threads import inline_threads
from simulated import Runflow
from test_odd_services import Late

from batchrun.engine.other_labels import OWED, note_owed, pay_looks
from batchrun.engine.run import Services
from batchrun.ledger.file import open_ledger
from batchrun.ledger.records import Extra, Looked, decode
from batchrun.runflow.http.client import api_client, download_client
from batchrun.sweep.location import LEDGER

TEXT = """\
models: [google/nano-banana-2]
inputs: {prompt: {$range: [1, 4]}}
limits: {concurrency: 4, rate: 100/s, settle: 1s}
"""


@dataclass
class Night(World):
    """A sweep with a label; `tonight` pays for it."""

    label: str | None = "night-1"

    @property
    def folder(self) -> Path:
        return self.path / "m" / f"@{self.label}"

    async def ends(self) -> None:
        """Call, and note what is owed, as a whole call does."""
        await self.call(download=False)
        note_owed(self.folder, self.book())

    async def tonight(self) -> int:
        """Pay as a call of the label night-2 would; return how many requests that took."""
        before = sum(self.service.calls.values())
        manifest = self.manifest()
        settings = manifest.settings()
        async with (
            api_client(
                "https://fake", "key", connections=4, transport=self.service.transport()
            ) as http,
            download_client(transport=httpx.MockTransport(lambda _: httpx.Response(404))) as files,
        ):
            services = Services(
                client=self.client(http, settings), downloads=files, progress=self.listener
            )
            with inline_threads():
                await pay_looks(self.path / "m" / "@night-2", manifest, settings, services)
        return sum(self.service.calls.values()) - before

    def looks(self) -> list[Looked]:
        lines = (self.folder / LEDGER).read_bytes().splitlines(keepends=True)
        return [each for each in map(decode, lines) if isinstance(each, Looked)]

    def extras(self) -> set[str]:
        lines = (self.folder / LEDGER).read_bytes().splitlines(keepends=True)
        return {each.run_id for each in map(decode, lines) if isinstance(each, Extra)}


def late() -> Late:
    return Late(script=["ok", "reset", "reset"], late=60.0, duration=lambda _: 1.0)


async def test_a_run_that_was_committed_late_is_found_by_the_call_of_another_label(
    tmp_path: Path,
) -> None:
    night = Night(tmp_path, late(), text=TEXT)
    await night.ends()
    assert len(night.service.runs) == 4
    await anyio.sleep(3700)

    await night.tonight()
    await night.tonight()  # the first request let them come to light

    assert len(night.service.runs) == 6
    assert len(night.extras()) == 2
    assert night.book().cost == Decimal("0.48")
    assert any("@night-1: cell" in note for note in night.listener.notes)


async def test_what_is_paid_is_not_owed_any_more(tmp_path: Path) -> None:
    night = Night(tmp_path, Runflow(script=["ok", "reset"]), text=TEXT)
    await night.ends()
    assert (night.folder / OWED).exists()
    assert await night.tonight() == 0, "the hour isn't over"
    await anyio.sleep(3700)

    assert 0 < await night.tonight() <= 3

    assert night.looks()[-1].server_at is None
    assert not (night.folder / OWED).exists()
    assert await night.tonight() == 0


@pytest.mark.parametrize("why", ["held", "unfinished", "gone"])
async def test_a_label_that_another_process_holds_or_that_is_open_is_passed_over(
    tmp_path: Path, why: str
) -> None:
    night = Night(tmp_path, Runflow(script=["ok", "reset"], duration=lambda _: 9e5), text=TEXT)
    if why == "unfinished":
        await night.call(max_duration=3.0, download=False)
        (night.folder / OWED).touch()
    else:
        night.service = Runflow(script=["ok", "reset"])
        await night.ends()
    await anyio.sleep(3700)
    before = (night.folder / LEDGER).read_bytes()

    if why == "held":
        with open_ledger(night.folder):
            assert await night.tonight() == 0
    elif why == "gone":
        (night.folder / LEDGER).rename(night.folder / "away")
        assert await night.tonight() == 0
        return
    else:
        assert await night.tonight() == 0

    assert (night.folder / LEDGER).read_bytes() == before


async def test_more_than_ten_waves_are_left_to_their_own_label(tmp_path: Path) -> None:
    night = Night(tmp_path, Runflow(script=["ok", *["reset"] * 3]), text=TEXT)
    await night.call(download=False, wave_size=1)
    ledger = night.folder / LEDGER
    with ledger.open("ab") as file:
        for number in range(20, 31):
            line = '{"type":"looked","at":"2026-01-01T00:00:00.000000Z","client_ref":"br1.x.%d",'
            line += '"server_at":"2026-01-01T00:00:00.000000Z"}\n'
            file.write((line % number).encode())
    note_owed(night.folder, night.book())
    await anyio.sleep(3700)

    assert await night.tonight() == 0
