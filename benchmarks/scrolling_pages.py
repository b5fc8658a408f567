"""Whether a page of results shows gaps while it scrolls, in a headless Chromium.

    python -m benchmarks.scrolling_pages [--cells 100000] [--speed 4000]

The browser is asked to scroll as a wheel does, down and to the right, and gives each frame that it
shows. Pictures are black: in a frame, the longest stretch of a line of pixels over the tiles that
isn't black is a gap, where it is longer than what parts two tiles. It needs Chromium, its driver
and the extras `browser` and `report`.
"""

import argparse
import tempfile
from base64 import b64decode
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio
from PIL import Image

from batchrun.results.result_files import REPORT
from benchmarks.chromium import browser
from benchmarks.report_folders import write

VIEWS: Final = {
    "down": "#row=prompt&row=seed&column=alias&size=128",
    "right": "#row=seed&row=alias&column=prompt&size=128",
}

SECONDS: Final = 3

MIDDLE: Final = """
    const { left, top, right, bottom } = document.querySelector(".matrix").getBoundingClientRect();
    const side = document.querySelector(".side").getBoundingClientRect().right;
    const { height } = document.querySelector(".heads").getBoundingClientRect();
    return [side, top + height, right, bottom].map(Math.round);
"""
"""Says where the tiles are on the screen."""

DARK: Final = 60
"""Light of a pixel, of 255, below which a picture is there."""

BAR: Final = 16
"""Pixels of the scroll bars."""


class Scrolled(NamedTuple):
    """The *frames* that were seen, and the longest *gap* in one, in pixels."""

    frames: int
    gap: int


def measured(cells: int, speed: int) -> dict[str, Scrolled]:
    """Scroll a page of so many *cells* at so many pixels a second; return what was seen."""
    with tempfile.TemporaryDirectory() as name, browser() as driver:
        folder = Path(name)
        write(folder, cells)
        found = {}
        for way, view in VIEWS.items():
            driver.get("about:blank")
            driver.get(f"{(folder / REPORT).as_uri()}{view}")
            driver.execute_async_script(
                "const done = arguments[0]; const look = () => document.querySelector('.tile img')"
                " ? done() : requestAnimationFrame(look); look()"
            )
            area = driver.execute_script(MIDDLE)
            frames = trio.run(_frames, driver, way, speed)
            found[way] = Scrolled(len(frames), max(_gap(each, area, way) for each in frames))
    return found


async def _frames(driver: Any, way: str, speed: int) -> list[bytes]:
    """Return the frames that are shown while the page scrolls."""
    frames: list[bytes] = []
    async with driver.bidi_connection() as connection, trio.open_nursery() as nursery:
        session, tools = connection.session, connection.devtools

        async def take(task_status: Any) -> None:
            events = session.listen(tools.page.ScreencastFrame)
            task_status.started()
            async for event in events:
                frames.append(b64decode(event.data))
                await session.execute(tools.page.screencast_frame_ack(event.session_id))

        await nursery.start(take)
        await session.execute(tools.page.start_screencast(format_="png", every_nth_frame=1))
        distance = {("y_distance" if way == "down" else "x_distance"): -speed * SECONDS}
        kind = tools.input_.GestureSourceType("mouse")
        gesture = tools.input_.synthesize_scroll_gesture(
            x=800, y=500, speed=speed, gesture_source_type=kind, **distance
        )
        await session.execute(gesture)
        await session.execute(tools.page.stop_screencast())
        nursery.cancel_scope.cancel()
    return frames


def _gap(frame: bytes, area: list[int], way: str) -> int:
    """Return the longest stretch without a picture along the way that was scrolled."""
    image = Image.open(BytesIO(frame)).convert("L")
    left, top, right, bottom = area
    if way == "down":
        line = image.crop((left + 16, top, left + 17, bottom - BAR))
    else:
        line = image.crop((left, top + 16, right - BAR, top + 17))
    stretches = groupby(line.tobytes(), lambda light: light < DARK)
    return max((len(list(pixels)) for is_dark, pixels in stretches if not is_dark), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--speed", type=int, default=4000)
    options = parser.parse_args()
    for way, found in measured(options.cells, options.speed).items():
        print(f"{way:>6}: {found.frames} frames, at most {found.gap} pixels without a tile")


if __name__ == "__main__":
    main()
