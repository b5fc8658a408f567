"""The price of a run before it is made: from the best that is known to nothing at all."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import SWEEP, finished, intent, submitted, text

from batchrun.engine.price_history import MOST_SIBLINGS, learn, siblings
from batchrun.engine.prices import Prices
from batchrun.planning.prices import Cost, PriceList, Source
from batchrun.runflow.descriptions import Description
from batchrun.runflow.published_prices import TABLE, published

BANANA = "google/nano-banana-2"
GPT = "openai/gpt-image-1.5"
SEEDANCE = "bytedance/seedance/2.0/text-to-video"
KLING = "kuaishou/kling-video/v3/pro/text-to-video"


def amounts(prices: Prices, model: str = BANANA, **inputs: Any) -> tuple[str, ...] | None:
    listed = PriceList(prices)
    price = listed.price("alias", listed.choice(model, inputs), model, inputs)
    if price is None:
        return None
    return (price.source, *map(str, (price.low, price.expected, price.high)))


def test_the_best_that_is_known_is_the_price() -> None:
    given, bare = Prices({"alias": Decimal("0.20")}), Prices({})
    described = Prices({}, {BANANA: Description(label="$0.07/image")})
    shown = Prices({"alias": Decimal("0.20")})
    for cost in ("0.08", "0.10", "0.12"):
        shown.learn(shown.choice(BANANA, {"prompt": "a red chair"}), Decimal(cost))

    assert amounts(shown, prompt="a blue chair") == ("history", "0.08", "0.100000", "0.12")
    assert amounts(given, prompt="a blue chair") == ("manifest", "0.20", "0.20", "0.20")
    assert amounts(described, prompt="a blue chair") == ("label", "0.07", "0.07", "0.28")
    assert amounts(bare, prompt="a blue chair") == ("published", "0.08", "0.08", "0.32")
    assert amounts(bare, "my/model", prompt="a blue chair") is None


def test_a_price_of_one_choice_is_none_of_another() -> None:
    prices = Prices({})
    prices.learn(prices.choice(BANANA, {"prompt": "x y", "resolution": "4K"}), Decimal("0.30"))

    assert amounts(prices, prompt="y z", resolution="4K") == ("history", "0.30", "0.300000", "0.30")
    assert amounts(prices, prompt="y z", resolution="2K") is None


@pytest.mark.parametrize(
    ("model", "inputs", "usd"),
    [
        (BANANA, {}, "0.08"),
        (BANANA, {"num_images": 3, "enable_web_search": True}, "0.285"),
        (BANANA, {"thinking_level": "high"}, "0.082"),
        (BANANA, {"resolution": "4K"}, None),
        (GPT, {"quality": "low", "image_size": "1024x1536"}, "0.013"),
        (GPT, {"image_size": "1024x1024"}, "0.133"),
        (GPT, {"quality": "low", "image_size": "auto"}, None),
        (SEEDANCE, {"duration": "5"}, "1.5170"),
        (SEEDANCE, {"duration": "auto"}, None),
        (SEEDANCE, {}, None),
        (SEEDANCE, {"duration": "5", "resolution": "1080p"}, None),
        (KLING, {"generate_audio": False}, "0.560"),
        (KLING, {"duration": "5"}, None),
        ("google/veo3.1", {"duration": "8s", "generate_audio": False}, "1.6"),
        ("google/veo3.1", {"duration": "0s", "generate_audio": False}, None),
        ("google/veo3.1", {"duration": True, "generate_audio": False}, None),
        ("google/veo3.1", {"duration": [8], "generate_audio": False}, None),
        ("runflow/smart-resize", {"resolution": "4K"}, "0.55"),
        ("my/model", {}, None),
    ],
)
def test_a_page_prices_what_it_says_and_nothing_else(
    model: str, inputs: Mapping[str, Any], usd: str | None
) -> None:
    found = published(model, inputs)

    assert (None if found is None else str(found.usd)) == usd


def test_each_published_price_says_when_it_was_read() -> None:
    assert all(entry.date[:3] == "202" and len(entry.date) == 7 for entry in TABLE.values())


def test_costs_add_up_and_say_where_they_are_known_from() -> None:
    listed = PriceList(Prices({"alias": Decimal("0.5")}))
    given = listed.price("alias", "", "my/model", {})
    page = listed.price("other", "", BANANA, {})
    cost, nothing = Cost(), Cost()
    for price, cells in ((given, 2), (page, 3), (None, 4)):
        cost.add(price, cells)
    nothing.add(None, 1)

    assert cost.as_dict() == {
        "cells": 9,
        "low": "1.24",
        "expected": "1.24",
        "high": "1.96",
        "unknown": 4,
        "sources": {"`price` in the manifest": 2, "published, 2026-05": 3},
    }
    assert nothing.as_dict()["expected"] is None
    assert given is not None
    assert given.source is Source.MANIFEST


def ledger(folder: Path, cost: str, *, model: str = BANANA, prompt: str = "a chair there") -> Path:
    """Write a ledger of one run."""
    folder.mkdir(parents=True)
    sent = intent("c1", model=model, input={"prompt": prompt})
    done = finished("c1", cost=Decimal(cost))
    (folder / "ledger.jsonl").write_bytes(text([SWEEP], [sent, submitted("c1"), done]))
    return folder / "ledger.jsonl"


def test_siblings_of_the_same_endpoint_show_prices_and_the_own_ledger_comes_last(
    tmp_path: Path,
) -> None:
    own = ledger(tmp_path / "chairs" / "@today", "0.10")
    ledger(tmp_path / "chairs" / "@yesterday", "0.20")
    ledger(tmp_path / "tables", "0.30")
    ledger(tmp_path / "@simulator" / "chairs", "0.90")
    ledger(tmp_path / "gpt", "0.80", model=GPT)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ledger.jsonl").write_bytes(b'{"type":"intent"\n\xff\n')
    (tmp_path / "odd" / "ledger.jsonl").mkdir(parents=True)
    prices = Prices({})
    learn(own, prices, {BANANA})

    costs = [*prices.costs(prices.choice(BANANA, {"prompt": "another chair"}))]
    assert sorted(map(str, costs[:-1])) == ["0.20", "0.30"]
    assert str(costs[-1]) == "0.10"


def test_a_sweep_that_begins_knows_the_prices_of_its_siblings(tmp_path: Path) -> None:
    ledger(tmp_path / "chairs" / "@yesterday", "0.20")
    prices = Prices({})
    learn(tmp_path / "chairs" / "@today" / "ledger.jsonl", prices, {BANANA})

    choice = prices.choice(BANANA, {"prompt": "another chair"})
    assert list(prices.costs(choice)) == [Decimal("0.20")]


def test_of_many_siblings_the_newest_are_read(tmp_path: Path) -> None:
    for number in range(MOST_SIBLINGS + 2):
        path = ledger(tmp_path / f"night-{number}", "0.10")
        os.utime(path, (number, number))
    found = [path.parent.name for path in siblings(tmp_path / "mine")]

    assert found == [f"night-{number}" for number in range(2, MOST_SIBLINGS + 2)]
