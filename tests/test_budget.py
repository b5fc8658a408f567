"""What a run reserves before its cost is known, and which cells wait for that."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import finished, intent, submitted, text

from batchrun.base.local_file import LocalFile
from batchrun.engine.choices import choice_of
from batchrun.engine.prices import NEWEST, Prices
from batchrun.ledger import scan
from batchrun.ledger.records import AnyRecord
from batchrun.ledger.scan import costs_by_choice
from batchrun.runflow.descriptions import DescribedInput, Description, parse_description

MODEL = "google/nano-banana-2"
KNOWN = Description(
    inputs={"quality": DescribedInput(allowed=("low", "high")), "style": DescribedInput()}
)
PICTURE = LocalFile(path=Path("/a.png"), written="a.png", sha256="0" * 64, size=1, mime="image/png")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"quality": "low"}, {"quality": "high"}, False),
        ({"quality": "low"}, {}, False),  # absent counts as a value
        ({"quality": "low"}, {"quality": "odd"}, False),
        ({"width": 512}, {"width": 1024}, False),
        ({"sound": True}, {"sound": False}, False),
        ({"prompt": "a red chair"}, {"prompt": "a blue chair"}, True),
        ({"prompt": "chair"}, {"prompt": "stool"}, True),
        ({"prompt": 1}, {"prompt": 2}, True),
        ({"seed": 1}, {"seed": 2}, True),
        ({"image_url": PICTURE}, {"image_url": "https://files.example/b.png"}, True),
        ({"image_url": PICTURE}, {"image_url": "data:image/png;base64,AA=="}, True),
        ({"image_url": PICTURE}, {}, False),
        ({"image_urls": [PICTURE]}, {"image_urls": [PICTURE, PICTURE]}, False),
        ({"config": {"size": "4K"}}, {"config": {"size": "1K"}}, False),
    ],
)
def test_what_the_price_of_a_run_hangs_on(
    one: Mapping[str, Any], other: Mapping[str, Any], *, same: bool
) -> None:
    for description in (KNOWN, Description()):
        first, second = (choice_of(MODEL, each, description) for each in (one, other))
        assert (first == second) == same
        assert first != choice_of("openai/gpt-image-1.5", one, description)


def test_a_word_is_a_value_only_where_no_list_of_values_is_known() -> None:
    one, other = {"style": "oil"}, {"style": "ink"}

    assert choice_of(MODEL, one, KNOWN) == choice_of(MODEL, other, KNOWN)
    assert choice_of(MODEL, one, Description()) != choice_of(MODEL, other, Description())


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"enum": ["low", "high"]}, ("low", "high")),
        ({"strict": True, "options": ["1K"]}, ("1K",)),
        ({"values": [1, 2]}, (1, 2)),
        ({"enum": []}, None),
        ({"enum": [{"value": "low"}]}, None),
        ({"max": 3}, None),
        ("low", None),
        (None, None),
    ],
)
def test_a_list_of_plain_values_is_what_an_input_allows(
    attributes: Any, allowed: tuple[Any, ...] | None
) -> None:
    body = {"inputs": [{"name": "quality", "validator_attrs": attributes}, {"id": 3}, "x"]}

    inputs = parse_description(body).inputs

    assert {name: each.allowed for name, each in inputs.items()} == {"quality": allowed}


def test_a_description_of_another_shape_is_none() -> None:
    assert parse_description({"pricing_note": {"amount": 1}, "inputs": "prompt"}) == Description()


def test_the_dearest_of_the_newest_runs_counts() -> None:
    prices = Prices({"dear": Decimal("0.50")})
    for cost in ("0.30", *["0.10"] * (NEWEST - 1)):
        prices.learn("a choice", Decimal(cost))

    assert prices.bound("any", "a choice") == Decimal("0.30")
    prices.learn("a choice", Decimal("0.20"))
    assert prices.bound("any", "a choice") == Decimal("0.20")
    assert prices.bound("dear", "a choice") == Decimal("0.50")
    assert prices.bound("any", "another") is None


def test_costs_are_learnt_from_the_end_of_a_long_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    groups: list[list[AnyRecord]] = [
        [intent(f"c{n}", input={"width": n}), submitted(f"c{n}"), finished(f"c{n}")]
        for n in range(40)
    ]
    path.write_bytes(text(*groups))

    def learnt() -> set[str]:
        return {*costs_by_choice(path, lambda _, given: str(given["width"]), newest=NEWEST)}

    whole = learnt()
    monkeypatch.setattr(scan, "END_OF_COSTS", path.stat().st_size // 2)

    assert whole == {str(n) for n in range(40)}
    half = learnt()
    assert half < whole
    assert {str(n) for n in range(21, 40)} <= half
