"""Whether budgets and balance pay for what a plan would begin."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from raw_server import answer, raw_server

from batchrun.cli import main
from batchrun.engine.price_list import PriceList
from batchrun.engine.prices import Prices
from batchrun.engine.selection import Selection
from batchrun.ledger.book import Book
from batchrun.manifest.load import load_manifest
from batchrun.planning.forecast import Forecast, forecast
from batchrun.planning.limits import of_a_day, suffices, too_little
from batchrun.settings import Settings

MANIFEST = """\
name: chairs
models:
  - {id: a/banana, alias: banana, price: 0.10}
  - {id: a/kling, alias: kling, price: 1.00}
inputs: {prompt: [one, two, three]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return path


def foreseen(path: Path, **changes: Any) -> tuple[Settings, Forecast]:
    """Return a forecast of six cells that cost 3.30 USD."""
    manifest = load_manifest(path, {})
    settings = replace(manifest.settings(), **changes)
    prices = PriceList(Prices(settings.model_prices))
    nothing_chosen = Selection({}, None, attempts=2)
    return settings, forecast(manifest, settings, Book(), prices, nothing_chosen)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, []),
        ({"budget": Decimal("3.30")}, []),
        (
            {"budget": Decimal("3.29")},
            ["the budget of 3.29 USD covers about 5 of 6 cells"],
        ),
        (
            {"model_budgets": {"banana": Decimal("0.30"), "kling": Decimal("2.99")}},
            ["the budget of 2.99 USD for kling covers about 2 of 3 cells"],
        ),
        (
            {"budget_per_day": Decimal(3)},
            ["the budget of 3.00 USD a day covers about 5 of 6 cells"],
        ),
    ],
)
def test_a_budget_that_ends_before_what_is_to_do_is_said(
    manifest: Path, changes: dict[str, Any], says: list[str]
) -> None:
    settings, found = foreseen(manifest, **changes)

    assert list(too_little(settings, found)) == says
    assert bool(list(of_a_day(settings))) == ("budget_per_day" in changes)


@pytest.mark.parametrize(
    ("balance", "changes", "suffice"),
    [
        (None, {}, None),
        ("3.30", {}, True),
        ("3.29", {}, False),
        ("3.00", {"budget": Decimal(3)}, True),
        ("3.00", {"budget_per_day": Decimal(3)}, True),
        ("2.99", {"budget": Decimal(3)}, False),
    ],
)
def test_a_balance_suffices_for_what_the_budgets_allow(
    manifest: Path, balance: str | None, changes: dict[str, Any], suffice: Any
) -> None:
    settings, found = foreseen(manifest, **changes)

    assert suffices(None if balance is None else Decimal(balance), settings, found) is suffice


def test_with_a_price_that_is_not_known_it_is_not_known_whether_it_suffices(
    manifest: Path,
) -> None:
    manifest.write_text(MANIFEST.replace(", price: 1.00", ""))
    settings, found = foreseen(manifest)

    assert suffices(Decimal(100), settings, found) is None
    assert suffices(Decimal("0.20"), settings, found) is False


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"balance": "3.30", "currency": "USD"}', "3.30 USD: it suffices"),
        ('{"balance": "1.00"}', "1.00 USD: it does not suffice (exit 5, unless `--allow-short`"),
        ('{"balance": "free"}', None),
        ("[]", None),
    ],
)
def test_a_plan_says_whether_the_balance_suffices(
    manifest: Path,
    body: str,
    says: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_plan")
    monkeypatch.setattr("batchrun.commands.preview.paid_before", _nothing_before)
    monkeypatch.setattr("batchrun.commands.preview.models_to_send", lambda *_: [])
    with raw_server(["read", answer(body.encode()), "close"] * 2) as server:
        assert main(["plan", str(manifest), "--endpoint", server.url]) == 0
        shown = capsys.readouterr().out
        assert main(["plan", str(manifest), "--endpoint", server.url, "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)["plan"]

    assert ("the account's balance is" in shown) == (says is not None)
    assert says is None or says in shown
    assert (plan["balance"] is None) == (says is None)


class _nothing_before:  # noqa: N801  (in the place of a function)
    """Nothing was paid before."""

    unseen = ""

    def __init__(self, *_: Any) -> None: ...
    def refusals(self, *_: Any) -> list[str]:
        return []

    def lines(self, *_: Any) -> list[str]:
        return []

    def as_dict(self) -> dict[str, Any]:
        return {}
