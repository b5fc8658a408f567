"""Sizes and formats of outputs (pure): small, in the proportions and the format asked for."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 512
SHORTEST: Final = 64
NAMED: Final = {
    "square": (1, 1),
    "square_hd": (1, 1),
    "portrait": (3, 4),
    "portrait_4_3": (3, 4),
    "portrait_16_9": (9, 16),
    "landscape": (4, 3),
    "landscape_4_3": (4, 3),
    "landscape_16_9": (16, 9),
}


@dataclass(frozen=True, slots=True)
class FileType:
    """A format: what Pillow calls it, or a video's stills; its suffix; what HTTP calls it."""

    pillow: str
    suffix: str
    content_type: str


PNG: Final = FileType("PNG", "png", "image/png")
JPEG: Final = FileType("JPEG", "jpg", "image/jpeg")
WEBP: Final = FileType("WEBP", "webp", "image/webp")
WEBM: Final = FileType("WEBP", "webm", "video/webm")
PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753"
    "de0000000c4944415478da63686868000003040181752e01bc0000000049454e"
    "44ae426082"
)
"""A PNG of one pixel: each output of a world that doesn't draw."""


def data_uri(data: bytes, kind: FileType) -> str:
    """Return the file as a URL that holds it."""
    return f"data:{kind.content_type};base64,{b64encode(data).decode()}"


PIXEL_URL: Final = data_uri(PIXEL, PNG)

TYPES: Final = {"png": PNG, "jpeg": JPEG, "jpg": JPEG, "webp": WEBP}


def file_type(values: Mapping[str, Any], media: str) -> FileType:
    """Return the format of an output."""
    if media == "video":
        return WEBM
    return TYPES.get(str(values.get("output_format", "png")), PNG)


def size(values: Mapping[str, Any], media: str) -> tuple[int, int]:
    """Return width and height: the ratio asked for, the longest side 512."""
    config = values.get("config")
    nested = config.get("aspect_ratio") if isinstance(config, dict) else None
    for asked in (values.get("aspect_ratio"), values.get("image_size"), nested):
        if ratio := _ratio(asked):
            return _fit(*ratio)
    return _fit(16, 9) if media == "video" else _fit(1, 1)


def _ratio(asked: Any) -> tuple[int, int] | None:
    if not isinstance(asked, str):
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})[:x]([1-9]\d{0,4})", asked)
    return (int(match[1]), int(match[2])) if match else NAMED.get(asked)


def _fit(width: int, height: int) -> tuple[int, int]:
    scale = LONGEST / max(width, height)
    return max(SHORTEST, round(width * scale)), max(SHORTEST, round(height * scale))
