"""Models that make pictures: inputs and prices (pure).

They follow sections 13 and 16 of the API's fact sheet; `models` says how.
"""

from decimal import Decimal
from typing import Final

from batchrun.simulator.catalog import (
    PROMPT,
    RATIOS,
    SEED,
    Model,
    choice,
    extra,
    flag,
    image,
    images,
    number,
    table,
    text,
    tiers,
)

COUNT: Final = number("num_images", 1, 4, default=1)
FORMAT: Final = choice("output_format", "jpeg", "png", "webp", default="png")
QUALITY: Final = choice("quality", "low", "medium", "high", default="high")
RATIO: Final = choice("aspect_ratio", "auto", *RATIOS, "1:4", "4:1", "1:8", "8:1", default="auto")
RESOLUTION: Final = choice("resolution", "1K", "2K", "4K", default="1K")
FINE_RESOLUTION: Final = choice("resolution", "0.5K", "1K", "2K", "4K", default="1K")
SAFETY: Final = choice("safety_tolerance", "1", "2", "3", "4", "5", "6", default="4")

GPT_SIZES: Final = ("1024x1024", "1024x1536", "1536x1024")
GPT_PRICES: Final = {
    "low": ("0.009", "0.013", "0.013"),
    "medium": ("0.034", "0.051", "0.050"),
    "high": ("0.133", "0.200", "0.199"),
}
GPT_TABLE: Final = {
    (quality, size): price
    for quality, prices in GPT_PRICES.items()
    for size, price in zip(GPT_SIZES, prices, strict=True)
}
GPT_SQUARES: Final = {quality: prices[0] for quality, prices in GPT_PRICES.items()}
"""What a quality costs in a size that has no price of its own."""

PRO_TIERS: Final = {"2K": "0.15", "4K": "0.30"}
TWO_TIERS: Final = {"0.5K": "0.06", "2K": "0.12", "4K": "0.16"}

NANO_BANANA: Final = (
    Model(
        id="google/nano-banana-pro",
        price=Decimal("0.15"),
        unit="image",
        rules=(*tiers("resolution", PRO_TIERS),),
        note="Per image (1K default)",
        made_up="the prices of 2K and 4K",
        inputs=(
            *(PROMPT, RATIO, RESOLUTION, COUNT, FORMAT, SAFETY, SEED),
            *(flag("enable_web_search"), flag("sync_mode")),
        ),
    ),
    Model(
        id="google/nano-banana-pro/edit",
        price=Decimal("0.15"),
        unit="image",
        rules=(*tiers("resolution", PRO_TIERS),),
        note="Per image (1K default)",
        made_up="the prices of 2K and 4K",
        inputs=(
            *(PROMPT, images(), RATIO, RESOLUTION, COUNT, FORMAT, SAFETY, SEED),
            *(flag("limit_generations"), flag("sync_mode")),
        ),
    ),
    Model(
        id="google/nano-banana-2",
        price=Decimal("0.08"),
        unit="image",
        rules=(
            *tiers("resolution", TWO_TIERS),
            extra("enable_web_search", True, "0.015"),
            extra("thinking_level", "high", "0.002"),
        ),
        note="Usage-based, per image",
        made_up="the prices of 0.5K, 2K and 4K",
        inputs=(
            text("prompt", low=3, high=50_000, required=True),
            *(FINE_RESOLUTION, RATIO),
            *(choice("thinking_level", "minimal", "high"), COUNT, FORMAT, SEED),
            flag("enable_web_search"),
        ),
    ),
    Model(
        id="google/nano-banana-2/edit",
        price=Decimal("0.08"),
        unit="image",
        rules=(*tiers("resolution", TWO_TIERS),),
        note="Usage-based, per image",
        made_up="the prices of 0.5K, 2K and 4K",
        inputs=(
            *(PROMPT, images(), RATIO, FINE_RESOLUTION, COUNT, FORMAT, SEED),
            *(SAFETY, flag("limit_generations")),
        ),
    ),
)

GPT_IMAGE: Final = (
    Model(
        id="openai/gpt-image-1.5",
        price=Decimal("0.133"),
        unit="image",
        rules=(*table("quality", "image_size", GPT_TABLE), *tiers("quality", GPT_SQUARES)),
        note="High quality (default)",
        made_up="the prices of the size auto; tokens of text cost nothing here",
        inputs=(
            text("prompt", low=2, required=True),
            QUALITY,
            choice(
                "image_size",
                *GPT_SIZES,
                default="1024x1024",
                also=("auto",),
                says="size of the picture: one of the list, or auto for the model's own choice",
            ),
            choice("background", "auto", "transparent", "opaque", default="auto"),
            *(COUNT, FORMAT),
        ),
    ),
    Model(
        id="openai/gpt-image-2",
        price=Decimal("0.133"),
        unit="image",
        rules=(*tiers("quality", GPT_SQUARES),),
        note="High quality (default)",
        made_up="the prices of low and medium quality",
        inputs=(PROMPT, text("image_size", high=64), QUALITY, COUNT, FORMAT),
    ),
    Model(
        id="openai/gpt-image-2/edit",
        price=Decimal("0.133"),
        unit="image",
        rules=(*tiers("quality", GPT_SQUARES),),
        note="High quality (default)",
        made_up="the prices of low and medium quality",
        inputs=(
            *(PROMPT, images(), text("image_size", high=64), QUALITY, FORMAT),
            *(image("mask_url", required=False), COUNT),
        ),
    ),
)

OTHERS: Final = (
    Model(
        id="bria/background/remove",
        price=Decimal("0.018"),
        inputs=(image(), flag("sync_mode")),
    ),
    Model(
        id="topaz/upscale/image",
        price=Decimal("0.10"),
        note="Usage-based, per image",
        made_up="the inputs and the price",
        inputs=(image(), number("upscale_factor", 1, 8, default=2)),
    ),
    Model(
        id="black-forest-labs/flux-2-klein",
        price=Decimal("0.025"),
        unit="megapixel",
        note="Per megapixel",
        made_up="the inputs and the price",
        inputs=(
            PROMPT,
            choice("image_size", *GPT_SIZES, "2048x2048", default="1024x1024"),
            *(COUNT, FORMAT, SEED),
        ),
    ),
)

IMAGES: Final = (*NANO_BANANA, *GPT_IMAGE, *OTHERS)
