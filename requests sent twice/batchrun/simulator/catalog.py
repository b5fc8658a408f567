"""The models the simulator knows: ids, inputs and prices as far as they are public (pure).

Ids, inputs and prices follow section 13 of the API's fact sheet. Where a price is not public, one
is made up so that costs can be added, and the model's note says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

Unit = Literal["request", "image", "second"]
Media = Literal["image", "video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a model. *low* and *high* bound a number, a text's length or a list's."""

    name: str
    type: str = "string"
    required: bool = False
    default: Any = None
    enum: tuple[Any, ...] | None = None
    low: int | None = None
    high: int | None = None
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, or a deployed workflow. *either* names inputs of which one must be given.

    *takes_batches*: only template-backed models do, and which those are is not listed (section 8).
    """

    id: str
    inputs: tuple[Input, ...]
    price: Decimal
    unit: Unit = "request"
    media: Media = "image"
    priced: bool = True
    workflow: bool = False
    either: tuple[str, ...] = ()
    takes_batches: bool = False


RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
LONG_RATIOS: Final = ("auto", *RATIOS, "1:4", "4:1", "1:8", "8:1")
FORMATS: Final = ("jpeg", "png", "webp")


def text(name: str, *, low: int = 1, high: int = 32_000, required: bool = False) -> Input:
    return Input(name=name, low=low, high=high, required=required, says="text")


def choice(name: str, *values: str, default: str | None = None, required: bool = False) -> Input:
    return Input(name=name, enum=values, default=default, required=required, says="one of a list")


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


PROMPT: Final = text("prompt", required=True)
SEED: Final = number("seed", 0, 4_294_967_295)
COUNT: Final = number("num_images", 1, 4, default=1)
RATIO: Final = choice("aspect_ratio", *LONG_RATIOS, default="auto")
RESOLUTION: Final = choice("resolution", "1K", "2K", "4K", default="1K")
FORMAT: Final = choice("output_format", *FORMATS, default="png")
SAFETY: Final = choice("safety_tolerance", "1", "2", "3", "4", "5", "6", default="4")
QUALITY: Final = choice("quality", "low", "medium", "high", default="high")
SECONDS: Final = choice("duration", "auto", *map(str, range(4, 16)), default="auto")
VIDEO_SIZE: Final = choice("resolution", "480p", "720p", "1080p", default="720p")
VIDEO_RATIO: Final = choice("aspect_ratio", "auto", *RATIOS, default="auto")
SOUND: Final = flag("generate_audio", default=True)


def tool(name: str, price: str | None, *inputs: Input) -> Model:
    """Return one of Runflow's own image tools; without a *price* one is made up."""
    amount = Decimal(price or "0.10")
    return Model(
        id=f"runflow/{name}",
        inputs=inputs,
        price=amount,
        priced=price is not None,
        takes_batches=True,
    )


RUNFLOW: Final = (
    tool("background-removal", None, image()),
    tool(
        "background-color",
        "0.12",
        image(),
        *(number(f"color_{c}", 0, 255, required=True) for c in ("red", "green", "blue")),
    ),
    tool(
        "smart-resize",
        "0.55",
        image(),
        choice("aspect_ratio", *RATIOS, required=True),
        choice("resolution", "1K", "2K", "4K", required=True),
    ),
    tool("object-removal/prompt", None, image(), PROMPT),
    tool(
        "product-isolation",
        "0.27",
        image(),
        choice("aspect_ratio", *RATIOS, required=True),
        RESOLUTION,
        text("prompt"),
    ),
    tool("tag-removal", "0.14", image(), anything("config")),
    tool(
        "background-replace",
        "0.35",
        PROMPT,
        image(required=False),
        *(image(name, required=False) for name in ("zip_url", "file_image", "file_reference")),
    ),
    tool(
        "reference-inpaint",
        None,
        image(),
        image("mask_url"),
        image("reference_url"),
        images("reference_urls", required=False),
        text("prompt"),
    ),
    tool(
        "outpaint",
        None,
        image(),
        *(number(f"expand_{s}", 0, 4096, default=0) for s in ("top", "bottom", "left", "right")),
    ),
    tool("model-removal", None, image()),
    tool("skin-fix", None, image()),
    tool("dyver-removal", None, image(), anything("config", required=True)),
)

IMAGES: Final = (
    Model(
        id="google/nano-banana-pro",
        price=Decimal("0.15"),
        unit="image",
        inputs=(
            *(PROMPT, RATIO, RESOLUTION, COUNT, FORMAT, SAFETY, SEED),
            *(flag("enable_web_search"), flag("sync_mode")),
        ),
    ),
    Model(
        id="google/nano-banana-pro/edit",
        price=Decimal("0.15"),
        unit="image",
        inputs=(
            *(PROMPT, images(), RATIO, RESOLUTION, COUNT, FORMAT, SAFETY, SEED),
            *(flag("limit_generations"), flag("sync_mode")),
        ),
    ),
    Model(
        id="google/nano-banana-2",
        price=Decimal("0.08"),
        unit="image",
        inputs=(
            text("prompt", low=3, high=50_000, required=True),
            choice("resolution", "0.5K", "1K", "2K", "4K", default="1K"),
            *(RATIO, choice("thinking_level", "minimal", "high"), COUNT, FORMAT, SEED),
            flag("enable_web_search"),
        ),
    ),
    Model(
        id="google/nano-banana-2/edit",
        price=Decimal("0.08"),
        unit="image",
        inputs=(PROMPT, images(), RATIO, RESOLUTION, COUNT, FORMAT, SEED),
    ),
    Model(
        id="openai/gpt-image-1.5",
        price=Decimal("0.133"),
        unit="image",
        inputs=(
            text("prompt", low=2, required=True),
            QUALITY,
            choice("image_size", "1024x1024", "1536x1024", "1024x1536", "auto", default="auto"),
            choice("background", "auto", "transparent", "opaque", default="auto"),
            *(COUNT, FORMAT),
        ),
    ),
    Model(
        id="openai/gpt-image-2",
        price=Decimal("0.133"),
        unit="image",
        inputs=(PROMPT, text("image_size", high=64), QUALITY, COUNT, FORMAT),
    ),
    Model(
        id="openai/gpt-image-2/edit",
        price=Decimal("0.133"),
        unit="image",
        inputs=(
            *(PROMPT, images(), text("image_size", high=64), QUALITY, FORMAT),
            *(image("mask_url", required=False), COUNT),
        ),
    ),
    Model(
        id="bria/background/remove",
        price=Decimal("0.018"),
        inputs=(image(), flag("sync_mode")),
    ),
    Model(
        id="topaz/upscale/image",
        price=Decimal("0.10"),
        priced=False,
        inputs=(image(), number("upscale_factor", 1, 8, default=2)),
    ),
)

VIDEOS: Final = (
    Model(
        id="bytedance/seedance/2.0/text-to-video",
        price=Decimal("0.3034"),
        unit="second",
        media="video",
        inputs=(PROMPT, VIDEO_RATIO, SECONDS, VIDEO_SIZE, SOUND, SEED),
    ),
    Model(
        id="bytedance/seedance/2.0/fast/text-to-video",
        price=Decimal("0.2419"),
        unit="second",
        media="video",
        inputs=(PROMPT, VIDEO_RATIO, SECONDS, VIDEO_SIZE, SOUND, SEED),
    ),
    Model(
        id="bytedance/seedance/2.0/image-to-video",
        price=Decimal("0.3024"),
        unit="second",
        media="video",
        inputs=(
            *(image(), PROMPT, image("end_image_url", required=False)),
            *(VIDEO_RATIO, SECONDS, VIDEO_SIZE, SOUND, SEED),
        ),
    ),
    Model(
        id="kuaishou/kling-video/v3/pro/text-to-video",
        price=Decimal("0.112"),
        unit="second",
        media="video",
        either=("prompt", "multi_prompt"),
        inputs=(
            text("prompt"),
            anything("multi_prompt"),
            choice("aspect_ratio", "16:9", "9:16", "1:1", default="16:9"),
            choice("duration", *map(str, range(3, 16)), default="5"),
            SOUND,
        ),
    ),
)

WORKFLOWS: Final = (
    Model(
        id="runflow-access/brand-locked-variant-nux",
        price=Decimal("0.06"),
        workflow=True,
        inputs=(
            text("prompt"),
            choice("aspect_ratio", *RATIOS),
            *(
                image(name, required=False)
                for name in ("primary_design_ref", "Aux Reference 1", "Aux Reference 2", "logo")
            ),
        ),
    ),
)

MODELS: Final[Mapping[str, Model]] = {
    model.id: model for model in (*RUNFLOW, *IMAGES, *VIDEOS, *WORKFLOWS)
}


def pricing_note(model: Model) -> str:
    note = f"${model.price}/{model.unit}"
    return note if model.priced else f"{note} (made up: the real price is not public)"
