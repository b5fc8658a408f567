"""Prices that Runflow's public pages show, for models whose description has none. Pure.

The API has no price field for most models (runflow-api.md, section 16). So a plan that has seen no
run yet falls back on this table, which says when each price was read. **A published price bounds
nothing**: labels have risen threefold within months. What no page prices is left out: the price of
another resolution, of sound, of a size that the service chooses itself.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, field

Choice = Mapping[str, tuple[Any, ...]]
"""Values by input, all of which must be met; None among them: the input isn't sent."""


class Tier(Struct, frozen=True):
    """What a unit costs in USD *where* inputs have these values."""

    usd: Decimal
    where: Choice = field(default_factory=dict)


class Published(Struct, frozen=True, kw_only=True):
    """The price of a model, read at a *date*: of a request, or of each unit that *per* counts.

    *per* is an input; *unsent* is its value where it isn't sent. *more* is added for each unit.
    """

    date: str
    tiers: tuple[Tier, ...]
    per: str | None = None
    unsent: int | None = None
    more: tuple[Tier, ...] = ()


class PublishedPrice(Struct, frozen=True):
    """What a run costs in USD by a page that was read at *date* (year and month)."""

    usd: Decimal
    date: str


def published(model: str, inputs: Mapping[str, Any]) -> PublishedPrice | None:
    """Return the published price of one run with *inputs*, None where there is none."""
    entry = TABLE.get(model)
    if entry is None:
        return None
    unit = next((each.usd for each in entry.tiers if _met(each.where, inputs)), None)
    units = _units(entry, inputs)
    if unit is None or units is None:
        return None
    more = sum((each.usd for each in entry.more if _met(each.where, inputs)), Decimal(0))
    return PublishedPrice((unit + more) * units, entry.date)


def spelled(model: str) -> str | None:
    """Return the model's published prices in words, such as "0.08 USD an image, 2026-05"."""
    entry = TABLE.get(model)
    if entry is None:
        return None
    usd = [each.usd for each in entry.tiers]
    amount = str(min(usd)) if min(usd) == max(usd) else f"{min(usd)} to {max(usd)}"
    return f"{amount} USD {_UNITS[entry.per]}, {entry.date}"


def _met(where: Choice, inputs: Mapping[str, Any]) -> bool:
    return all(inputs.get(name) in values for name, values in where.items())


def _units(entry: Published, inputs: Mapping[str, Any]) -> Decimal | None:
    """Return how many units a run has; a duration may be text, such as "5" or "8s"."""
    if entry.per is None:
        return Decimal(1)
    value = inputs.get(entry.per, entry.unsent)
    text = str(value).removesuffix("s")
    if isinstance(value, bool) or not text.isdecimal():
        return None
    return Decimal(text) if int(text) else None


def _request(usd: str, date: str = "2026-05") -> Published:
    return Published(date=date, tiers=(Tier(Decimal(usd)),))


def _images(*tiers: Tier, date: str = "2026-05", more: tuple[Tier, ...] = ()) -> Published:
    return Published(date=date, tiers=tiers, per="num_images", unsent=1, more=more)


def _seconds(*tiers: Tier, unsent: int | None = None) -> Published:
    return Published(date="2026-05", tiers=tiers, per="duration", unsent=unsent)


def _gpt_image_15() -> tuple[Tier, ...]:
    """Return the tiers of a page of March 2026; the table says nothing of the size `auto`."""
    sizes = ("1024x1024", "1024x1536", "1536x1024")
    usd = {
        ("low",): ("0.009", "0.013", "0.013"),
        ("medium",): ("0.034", "0.051", "0.050"),
        ("high", None): ("0.133", "0.200", "0.199"),
    }
    return tuple(
        Tier(Decimal(price), {"quality": quality, "image_size": (size,)})
        for quality, prices in usd.items()
        for size, price in zip(sizes, prices, strict=True)
    )


_UNITS: Final[Mapping[str | None, str]] = {
    None: "a run",
    "num_images": "an image",
    "duration": "a second",
}
_1K: Final[Choice] = {"resolution": ("1K", None)}
_720P: Final[Choice] = {"resolution": ("720p", None)}
_SILENT: Final[Choice] = {"generate_audio": (False,)}
_GPT_IMAGE_2: Final = _images(
    Tier(Decimal("0.133"), {"quality": ("high", None), "image_size": (None,)})
)
_BANANA_MORE: Final = (
    Tier(Decimal("0.015"), {"enable_web_search": (True,)}),
    Tier(Decimal("0.002"), {"thinking_level": ("high",)}),
)

TABLE: Final[Mapping[str, Published]] = {
    "google/nano-banana-pro": _images(Tier(Decimal("0.15"), _1K)),
    "google/nano-banana-pro/edit": _images(Tier(Decimal("0.15"), _1K)),
    "google/nano-banana-2": _images(Tier(Decimal("0.08"), _1K), more=_BANANA_MORE),
    "google/nano-banana-2/edit": _images(Tier(Decimal("0.08"), _1K)),
    "openai/gpt-image-1.5": _images(*_gpt_image_15(), date="2026-03"),
    "openai/gpt-image-2": _GPT_IMAGE_2,
    "openai/gpt-image-2/edit": _GPT_IMAGE_2,
    "bria/background/remove": _request("0.018"),
    "bytedance/seedance/2.0/text-to-video": _seconds(Tier(Decimal("0.3034"), _720P)),
    "bytedance/seedance/2.0/fast/text-to-video": _seconds(Tier(Decimal("0.2419"), _720P)),
    "bytedance/seedance/2.0/image-to-video": _seconds(Tier(Decimal("0.3024"), _720P)),
    "kuaishou/kling-video/v3/pro/text-to-video": _seconds(
        Tier(Decimal("0.112"), _SILENT), unsent=5
    ),
    "google/veo3.1": _seconds(Tier(Decimal("0.2"), _SILENT)),
    "runflow/background-color": _request("0.12"),
    "runflow/smart-resize": _request("0.55"),
    "runflow/product-isolation": _request("0.27"),
    "runflow/tag-removal": _request("0.14"),
    "runflow/background-replace": _request("0.35"),
}
