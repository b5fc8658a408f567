"""Models that make videos, by the second: inputs and prices (pure).

They follow sections 13 and 16 of the API's fact sheet; `models` says how. A duration is text
`"5"`, text `"8s"` or the number 5, by model.
"""

from decimal import Decimal
from typing import Final

from batchrun.simulator.catalog import (
    PROMPT,
    SEED,
    Input,
    Model,
    Rule,
    anything,
    choice,
    flag,
    image,
    number,
    text,
    tiers,
)

SOUND: Final = flag("generate_audio", default=True)
SEEDANCE_RATIO: Final = choice(
    "aspect_ratio", "auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16", default="auto"
)
SEEDANCE_SECONDS: Final = choice("duration", "auto", *map(str, range(4, 16)), default="auto")
SEEDANCE_SIZE: Final = choice("resolution", "480p", "720p", "1080p", default="720p")
SEEDANCE: Final = (SEEDANCE_RATIO, SEEDANCE_SECONDS, SEEDANCE_SIZE, SOUND, SEED)


def seedance(name: str, small: str, price: str, large: str, *inputs: Input) -> Model:
    """Return a model that is priced for 720p, with or without sound."""
    return Model(
        id=f"bytedance/seedance/2.0/{name}",
        price=Decimal(price),
        unit="second",
        rules=(*tiers("resolution", {"480p": small, "1080p": large}),),
        note="Per second (720p)",
        made_up="the prices of 480p and 1080p, and the 5 seconds of the duration auto",
        media="video",
        inputs=(*inputs, *SEEDANCE),
    )


def silent(price: str) -> Rule:
    """Return the rule that a second without sound costs so much."""
    return Rule(when={"generate_audio": False}, price=Decimal(price))


def veo(name: str, price: str, loud: str) -> Model:
    return Model(
        id=f"google/{name}",
        price=Decimal(loud),
        unit="second",
        rules=(silent(price),),
        note="Without audio",
        made_up="the inputs but prompt and duration, and the price with audio",
        media="video",
        inputs=(
            PROMPT,
            choice("aspect_ratio", "16:9", "9:16", default="16:9"),
            choice("duration", "4s", "6s", "8s", default="8s"),
            choice("resolution", "720p", "1080p", default="720p"),
            *(SOUND, SEED),
        ),
    )


VIDEOS: Final = (
    seedance("text-to-video", "0.1348", "0.3034", "0.6827", PROMPT),
    seedance("fast/text-to-video", "0.1075", "0.2419", "0.5443", PROMPT),
    seedance(
        *("image-to-video", "0.1344", "0.3024", "0.6804"),
        *(image(), PROMPT, image("end_image_url", required=False)),
    ),
    Model(
        id="kuaishou/kling-video/v3/pro/text-to-video",
        price=Decimal("0.168"),
        unit="second",
        rules=(silent("0.112"),),
        note="Without audio",
        made_up="the price with audio",
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
    veo("veo3.1", "0.20", "0.40"),
    veo("veo3.1/fast", "0.10", "0.15"),
    Model(
        id="alibaba/happy-horse",
        price=Decimal("0.14"),
        unit="second",
        rules=(*tiers("resolution", {"1080p": "0.28"}),),
        note="Per second of generated video (720p baseline)",
        made_up="the inputs but prompt and duration, and the prices",
        media="video",
        inputs=(
            PROMPT,
            choice("aspect_ratio", "16:9", "9:16", "1:1", default="16:9"),
            number("duration", 3, 15, default=5),
            choice("resolution", "720p", "1080p", default="720p"),
            SEED,
        ),
    ),
    Model(
        id="heygen/v3/video-agent",
        price=Decimal("2.00"),
        note="Usage-based",
        made_up="the inputs and the price",
        media="video",
        steps=("write_script", "speak", "film", "cut"),
        inputs=(PROMPT, choice("aspect_ratio", "16:9", "9:16", default="16:9")),
    ),
)
"""Of Veo 3.1's fast form a price is public, and no id: this one is made up."""
