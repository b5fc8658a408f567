"""Runflow's own image tools, and a deployed workflow: inputs and prices (pure).

They follow sections 13 and 16 of the API's fact sheet; `models` says how.
"""

from decimal import Decimal
from typing import Final

from batchrun.simulator.catalog import (
    PROMPT,
    RATIOS,
    Input,
    Model,
    Shape,
    anything,
    choice,
    image,
    images,
    number,
    text,
)

ANY_RATIO: Final = choice("aspect_ratio", *RATIOS, required=True)
SIZES: Final = ("1K", "2K", "4K")
SIDES: Final = ("top", "bottom", "left", "right")


def tool(
    name: str,
    price: str | None,
    *inputs: Input,
    note: str | None = "Usage-based, per image",
    output: Shape = "outputs",
    steps: tuple[str, ...] = (),
    stages: tuple[str, ...] = (),
) -> Model:
    """Return one of the tools; without a *price* one is made up. No *note* is a label with it."""
    return Model(
        id=f"runflow/{name}",
        inputs=inputs,
        price=Decimal(price or "0.10"),
        note=note,
        made_up="" if price else "the price",
        takes_batches=True,
        output=output,
        steps=steps,
        stages=stages,
    )


def unseen(name: str, *inputs: Input) -> Model:
    """Return a tool of which only the name is public."""
    return Model(
        id=f"runflow/{name}",
        inputs=inputs,
        price=Decimal("0.10"),
        note="Usage-based, per image",
        made_up="the inputs and the price",
        takes_batches=True,
    )


TOOLS: Final = (
    Model(
        id="runflow/background-removal",
        inputs=(image(),),
        price=Decimal("0.04"),
        note="~25 runs per $1",
        takes_batches=True,
        made_up="the price",
        output="image_urls",
    ),
    tool(
        "background-color",
        "0.12",
        image(),
        *(number(f"color_{c}", 0, 255, required=True) for c in ("red", "green", "blue")),
        note=None,
    ),
    tool(
        "smart-resize",
        "0.55",
        *(image(), ANY_RATIO, choice("resolution", *SIZES, required=True)),
        steps=("analyse", "extend", "upscale"),
    ),
    tool("object-removal/prompt", None, image(), PROMPT),
    unseen("object-removal", image(), image("mask_url")),
    unseen("smart-segmentation", image(), text("prompt")),
    tool(
        "product-isolation",
        "0.27",
        image(),
        ANY_RATIO,
        choice("resolution", *SIZES, default="1K"),
        text("prompt"),
        output="image_urls",
    ),
    tool(
        "tag-removal",
        "0.14",
        *(image(), anything("config")),
        note="Per image - tag removal",
        output="image_urls",
    ),
    tool(
        "background-replace",
        "0.35",
        PROMPT,
        image(required=False),
        *(image(name, required=False) for name in ("zip_url", "file_image", "file_reference")),
        steps=("segment", "paint_background", "compose"),
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
    tool("outpaint", None, image(), *(number(f"expand_{s}", 0, 4096, default=0) for s in SIDES)),
    unseen("outpaint/aspect-ratio", image(), ANY_RATIO),
    tool("model-removal", None, image()),
    tool("skin-fix", None, image()),
    tool(
        "dyver-removal",
        None,
        *(image(), anything("config", required=True)),
        stages=("model_removal", "tag_removal", "product_isolation", "background_removal"),
    ),
)

WORKFLOWS: Final = (
    Model(
        id="runflow-access/brand-locked-variant-nux",
        price=Decimal("0.06"),
        note="Usage-based",
        made_up="the exact price",
        workflow=True,
        steps=(
            *("load_checkpoint", "load_images", "encode_prompt", "sample"),
            *("decode", "upscale", "save_image"),
        ),
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
