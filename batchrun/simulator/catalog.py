"""How a model is described: its inputs and its price (pure). The models are in `models`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

Unit = Literal["request", "image", "second", "megapixel"]
Media = Literal["image", "video"]
Shape = Literal["outputs", "image_urls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a model. *low* and *high* bound a number, a text's length or a list's.

    *enum* is what the description lists; *also* is taken besides, as only its prose *says*.
    """

    name: str
    type: str = "string"
    required: bool = False
    default: Any = None
    enum: tuple[Any, ...] | None = None
    also: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where all inputs are as *when* says, a unit costs *price*, or so much *more*."""

    when: Mapping[str, Any]
    price: Decimal | None = None
    more: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, or a deployed workflow. *either* names inputs of which one must be given.

    *price* is USD for a unit where no rule has another; of the *rules* with a price the first
    counts, and each that holds adds its *more*. *note* is the prose beside the price, by default a
    label with it. *made_up* says which of inputs and prices are not public. *takes_batches*: only
    template-backed models do, and which those are is not listed (section 8).

    *steps* are the nodes of a run, in their order; one where there are none. Of a model with
    *stages* each stage is a node that leaves a file, and `config.elements` may choose among them.
    """

    id: str
    inputs: tuple[Input, ...]
    price: Decimal
    unit: Unit = "request"
    rules: tuple[Rule, ...] = ()
    note: str | None = None
    made_up: str = ""
    media: Media = "image"
    workflow: bool = False
    either: tuple[str, ...] = ()
    takes_batches: bool = False
    output: Shape = "outputs"
    steps: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        given = {each.name: each.default for each in self.inputs if each.default is not None}
        object.__setattr__(self, "defaults", given)

    @property
    def has_sync_mode(self) -> bool:
        return any(each.name == "sync_mode" for each in self.inputs)


RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")


def text(
    name: str, *, low: int = 1, high: int = 32_000, required: bool = False, says: str = "text"
) -> Input:
    return Input(name=name, low=low, high=high, required=required, says=says)


def choice(
    name: str,
    *values: str,
    default: str | None = None,
    required: bool = False,
    also: tuple[str, ...] = (),
    says: str = "one of a list",
) -> Input:
    return Input(name=name, enum=values, default=default, required=required, also=also, says=says)


def number(
    name: str, low: int, high: int, *, default: int | None = None, required: bool = False
) -> Input:
    return Input(name=name, type="integer", low=low, high=high, default=default, required=required)


def flag(name: str, *, default: bool = False) -> Input:
    return Input(name=name, type="boolean", default=default)


def image(name: str = "image_url", *, required: bool = True) -> Input:
    return Input(name=name, type="image", required=required, says="URL, data URI or asset")


def images(name: str = "image_urls", *, required: bool = True) -> Input:
    return Input(name=name, type="image_list", low=1, high=14, required=required)


def anything(name: str, *, required: bool = False) -> Input:
    return Input(name=name, type="json", required=required)


def tiers(name: str, prices: Mapping[Any, str]) -> Iterator[Rule]:
    """Yield a rule for each price that a value of the input *name* has."""
    for value, price in prices.items():
        yield Rule(when={name: value}, price=Decimal(price))


def table(rows: str, columns: str, prices: Mapping[tuple[Any, Any], str]) -> Iterator[Rule]:
    """Yield a rule for each price that values of two inputs have together."""
    for (row, column), price in prices.items():
        yield Rule(when={rows: row, columns: column}, price=Decimal(price))


def extra(name: str, value: Any, more: str) -> Rule:
    """Return the rule that a unit costs so much *more* where the input *name* has this value."""
    return Rule(when={name: value}, more=Decimal(more))


PROMPT: Final = text("prompt", required=True)
SEED: Final = number("seed", 0, 4_294_967_295)
