"""The balance is asked for before the first request for a run (rule 36)."""

from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx
import pytest
from engine_world import Begun, World
from simulated import Runflow, answered, refused

from batchrun.engine.uploader import Uploader
from batchrun.errors import most_severe
from batchrun.manifest.cells import Cell
from batchrun.runflow.wire import parse_balance

TEXT = """\
models: [{id: a/one, alias: one}]
inputs: {prompt: {$range: [1, 20]}}
limits: {concurrency: 4, rate: 100/s, settle: 2s}
"""


class Bank(Runflow):
    """Says a balance."""

    says: ClassVar[Any] = {"balance": "1.00"}

    async def serve(self, request: httpx.Request, word: str) -> httpx.Response:
        if request.url.path == "/v1/billing/balance":
            if self.says is None:
                await anyio.sleep_forever()
            if isinstance(self.says, int):
                return refused(self.says, "forbidden", "no")
            return answered(200, self.says)
        return await super().serve(request, word)


async def test_a_balance_below_the_expected_cost_ends_the_call_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Bank(priced=True), text=TEXT)

    stops = await world.call(allow_short=False)

    assert most_severe(stops.codes) == 5
    said = str(stops.errors[0])
    assert "the balance of 1.00 USD is below the expected cost" in said
    assert "the first 13 cells to be begun cost about 1.04 USD" in said
    assert "--allow-short" in said
    assert world.service.posts == []
    assert not world.book().open


@pytest.mark.parametrize(
    "changes",
    [
        {"allow_short": True, "limit": 20},
        {"limit": 12},
        {"budget": Decimal("0.90")},
        {"model_budgets": {"one": Decimal("0.90")}},
    ],
)
async def test_only_what_may_be_begun_is_expected(tmp_path: Path, changes: dict[str, Any]) -> None:
    world = World(tmp_path, Bank(priced=True), text=TEXT)

    stops = await world.call(**{"allow_short": False, **changes})

    assert 5 not in stops.codes
    assert world.service.posts


async def test_what_is_done_is_not_expected_again(tmp_path: Path) -> None:
    world = World(tmp_path, Bank(priced=True), text=TEXT)
    await world.call(allow_short=False, limit=10)

    stops = await world.call(allow_short=False)

    assert stops.codes == []
    assert len(world.service.runs) == 20


async def test_a_call_whose_key_was_checked_for_an_upload_asks_for_the_balance_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def uploaded(_uploads: Uploader, _cell: Cell) -> dict[str, Any]:
        return {"prompt": 1, "image_url": "runflow://assets/1"}

    monkeypatch.setattr(Uploader, "resolve", uploaded)
    (tmp_path / "a.png").write_bytes(b"a picture")
    text = TEXT.replace("inputs: {", "inputs: {image_url: {$file: a.png}, ")
    world = Begun(tmp_path, Bank(priced=True), text=text)
    await world.call(limit=12)
    sent = len(world.service.posts)
    monkeypatch.setattr(Bank, "says", {"balance": "0.10"})

    stops = await world.call(allow_short=False)

    assert most_severe(stops.codes) == 5
    assert len(world.service.posts) == sent


async def test_a_balance_that_is_never_said_holds_nothing_up(tmp_path: Path) -> None:
    service = type("Hanging", (Bank,), {"says": None})(priced=True)
    world = World(tmp_path, service, text=TEXT)

    stops = await world.call(allow_short=False)

    assert stops.codes == []
    assert "the account's balance is not known" in world.listener.notes


async def test_an_unknown_price_goes_on_and_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, Bank(), text=TEXT)

    stops = await world.call(allow_short=False)

    assert stops.codes == []
    assert [note for note in world.listener.notes if "no price is known for 20 cells" in note]


@pytest.mark.parametrize("says", [403, 404, {"balance": "much"}, []])
async def test_an_unknown_balance_goes_on_and_says_so(tmp_path: Path, says: Any) -> None:
    service = type("Other", (Bank,), {"says": says})(priced=True)
    world = World(tmp_path, service, text=TEXT)

    stops = await world.call(allow_short=False)

    assert stops.codes == []
    assert "the account's balance is not known" in world.listener.notes


@pytest.mark.parametrize(
    ("body", "balance"),
    [
        ({"balance": "1.50"}, "1.50"),
        ({"balance_cents": 150, "currency": "USD"}, "1.50"),
        ({"balance": None}, None),
        ("1.50", None),
    ],
)
def test_a_balance_is_read_in_either_documented_shape(body: Any, balance: str | None) -> None:
    assert parse_balance(body) == (None if balance is None else Decimal(balance))
