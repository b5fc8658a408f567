"""Pictures that differ: a pattern made from model, prompt and seed, with the prompt's words on it.

Nothing real is made; equal inputs give equal bytes. In a clip the pattern moves.
"""

import colorsys
import hashlib
import io
import textwrap
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

from batchrun.simulator.shapes import file_type, size
from batchrun.simulator.webm import webm

FRAMES: Final = 12
FRAME_MILLISECONDS: Final = 120
EFFORT: Final = 2  # libwebp's: at its usual 4 the stills of a clip take longer than all the drawing
Color = tuple[int, int, int]


def draw(model: str, values: Mapping[str, Any], media: str, mark: str) -> bytes:
    """Return the file that a run of *model* with these inputs makes; *mark* is its number."""
    kind, shape = file_type(values, media), size(values, media)
    if media != "video":
        return _written(_frame(model, values, mark, shape, 0.0), kind.pillow)
    frames = (_frame(model, values, mark, shape, n / FRAMES) for n in range(FRAMES))
    stills = [_written(frame, kind.pillow, method=EFFORT) for frame in frames]
    return webm(stills, FRAME_MILLISECONDS)


def _written(picture: Image.Image, form: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _frame(
    model: str, values: Mapping[str, Any], mark: str, shape: tuple[int, int], turn: float
) -> Image.Image:
    prompt = str(values.get("prompt") or values.get("image_url") or "no prompt")
    seed = str(values.get("seed", mark))
    dice = Random(_number(model, prompt, seed))  # noqa: S311 - a pattern, no secret
    hue = _number(model) % 360 / 360
    picture = _background(shape, hue + dice.uniform(-0.08, 0.08))
    _pattern(picture, dice, hue, _number(model, "pattern") % 3, turn)
    _caption(picture, prompt, f"{model}  seed {seed}  simulated")
    return picture


def _background(shape: tuple[int, int], hue: float) -> Image.Image:
    """Blend four corners: stretched from two pixels by two."""
    corners = Image.new("RGB", (2, 2))
    for n, (shift, light) in enumerate(((0.0, 0.82), (0.06, 0.55), (-0.05, 0.48), (0.12, 0.25))):
        corners.putpixel((n % 2, n // 2), _color(hue + shift, light, 0.65))
    return corners.resize(shape, Image.Resampling.BICUBIC)


def _pattern(picture: Image.Image, dice: Random, hue: float, kind: int, turn: float) -> None:
    """Lay discs, bars or rings over the picture; *turn* moves them for the frames of a clip."""
    layer = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(layer)
    width, height = picture.size
    for _ in range(14):
        x = (dice.random() + turn * dice.choice((-1, 1))) % 1 * width
        y, reach = dice.random() * height * 0.85, dice.uniform(0.04, 0.2) * max(width, height)
        color = (*_color(hue + dice.uniform(0.3, 0.6), dice.uniform(0.45, 0.9), 0.75), 130)
        box = (x - reach, y - reach, x + reach, y + reach)
        if kind == 0:
            pen.ellipse(box, fill=color)
        elif kind == 1:
            pen.polygon([(x, y - reach), (x + reach, y + reach), (x - reach, y + reach)], color)
        else:
            pen.ellipse(box, outline=color, width=max(3, int(reach / 4)))
    picture.paste(layer, mask=layer)


def _caption(picture: Image.Image, words: str, small: str) -> None:
    width, height = picture.size
    large, small_size = max(12, min(width, height) // 15), max(9, min(width, height) // 30)
    large_font, small_font = ImageFont.load_default(large), ImageFont.load_default(small_size)
    letters = max(8, int(width * 0.9 / large_font.getlength("n")))
    lines = textwrap.wrap(words, letters, max_lines=3, placeholder=" …") or [""]
    line_height = large * 1.3
    top = height - line_height * len(lines) - small_size * 2.2
    layer = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(layer)
    pen.rectangle((0, top - 8, width, height), fill=(10, 12, 20, 170))
    for n, line in enumerate(lines):
        at = (width * 0.04, top + n * line_height)
        pen.text(at, line, font=large_font, fill=(255, 255, 255, 255))
    at = (width * 0.04, height - small_size * 1.7)
    pen.text(at, small, font=small_font, fill=(255, 255, 255, 170))
    picture.paste(layer, mask=layer)


def _color(hue: float, light: float, saturation: float) -> Color:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, light, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=6).digest())
