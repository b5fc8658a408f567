"""Simulated clips: WebM files that are read back here, element by element."""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from PIL import Image
from test_simulator_batches import Service

from batchrun.simulator.pictures import draw
from batchrun.simulator.webm import webm

SEEDANCE: Final = "bytedance/seedance/2.0/text-to-video"

HEADER, SEGMENT, INFO, TRACKS, CUES, CLUSTER = (
    *(0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675),
)
ENTRY, VIDEO, CUE, POSITIONS = 0xAE, 0xE0, 0xBB, 0xB7
MASTERS: Final = {HEADER, SEGMENT, INFO, TRACKS, CUES, CLUSTER, ENTRY, VIDEO, CUE, POSITIONS}
DOC_TYPE, SCALE, DURATION, CODEC = 0x4282, 0x2AD7B1, 0x4489, 0x86
WIDTH, HEIGHT, FRAME_LASTS = 0xB0, 0xBA, 0x23E383
CUE_TIME, CUE_POSITION, TIME, BLOCK = 0xB3, 0xF1, 0xE7, 0xA3


@dataclass
class Element:
    """An element of the file: where it begins, and its content or its children."""

    id: int
    start: int
    content_start: int
    content: bytes
    children: list["Element"]

    def all(self, *path: int) -> list["Element"]:
        found = [self]
        for each in path:
            found = [child for one in found for child in one.children if child.id == each]
        return found

    def one(self, *path: int) -> bytes:
        [found] = self.all(*path)
        return found.content

    def number(self, *path: int) -> int:
        return int.from_bytes(self.one(*path))


def elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """Read the elements of that part of the file; every byte of it must belong to one."""
    while start < end:
        id_length = 9 - data[start].bit_length()
        first = data[start + id_length]
        length = 9 - first.bit_length()
        content = start + id_length + length
        coded = int.from_bytes(data[start + id_length : content])
        size = coded - (1 << 7 * length)
        assert size < (1 << 7 * length) - 1, "a size is known"
        assert content + size <= end, "an element ends in the one that it is in"
        name = int.from_bytes(data[start : start + id_length])
        inner = [*elements(data, content, content + size)] if name in MASTERS else []
        yield Element(name, start, content, data[content : content + size], inner)
        start = content + size
    assert start == end


def read(data: bytes) -> tuple[Element, Element]:
    """Return the header and the segment of a file that has nothing else."""
    header, segment = elements(data, 0, len(data))
    assert (header.id, segment.id) == (HEADER, SEGMENT)
    return header, segment


def still(
    color: str = "red", size: tuple[int, int] = (64, 48), mode: str = "RGB", **how: Any
) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "WEBP", **how)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def bare(frame: bytes, *before: bytes) -> bytes:
    """Return a WebP file that has this frame, behind other chunks."""
    chunks = b"".join((*before, chunk(b"VP8 ", frame)))
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def key_frame(length: int, width: int = 64, height: int = 48) -> bytes:
    return (b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)).ljust(length, b"\xaa")


def test_a_video_says_how_large_it_is_and_how_long_it_takes() -> None:
    header, segment = read(webm([still("red"), still("blue"), still("green")], 120))

    assert header.one(DOC_TYPE) == b"webm"
    assert segment.number(INFO, SCALE) == 1_000_000, "times are milliseconds"
    assert struct.unpack(">d", segment.one(INFO, DURATION)) == (360.0,)
    assert segment.one(TRACKS, ENTRY, CODEC) == b"V_VP8"
    assert segment.number(TRACKS, ENTRY, FRAME_LASTS) == 120_000_000
    video = (segment.number(TRACKS, ENTRY, VIDEO, each) for each in (WIDTH, HEIGHT))
    assert (*video,) == (64, 48)


def test_its_frames_are_those_of_the_stills_in_their_order() -> None:
    frames = [key_frame(20 + n) for n in range(4)]

    _, segment = read(webm([bare(each) for each in frames], 100))

    assert [each.number(TIME) for each in segment.all(CLUSTER)] == [0, 100, 200, 300]
    blocks = [each.content for each in segment.all(CLUSTER, BLOCK)]
    assert [each[4:] for each in blocks] == frames
    assert {each[:4] for each in blocks} == {b"\x81\0\0\x80"}, "track 1, no time more, a key frame"


def test_a_cue_leads_to_each_frame() -> None:
    _, segment = read(webm([still(), still("blue"), still("green")], 40))

    cues = [
        (each.number(CUE_TIME), each.number(POSITIONS, CUE_POSITION))
        for each in segment.all(CUES, CUE)
    ]
    clusters = segment.all(CLUSTER)
    starts = [each.start - segment.content_start for each in clusters]
    assert cues == [*zip((0, 40, 80), starts, strict=True)]
    assert [each.id for each in segment.children] == [INFO, TRACKS, CUES, *[CLUSTER] * 3]


@pytest.mark.parametrize(
    "length", [100, 114, 115, 122, 123, 16_370, 16_376, 16_377, 16_378, 2_100_000]
)
def test_sizes_of_any_length_are_read_back(length: int) -> None:
    frame = key_frame(length)

    _, segment = read(webm([bare(frame), bare(frame)], 1))

    assert [each.content[4:] for each in segment.all(CLUSTER, BLOCK)] == [frame, frame]


def test_other_chunks_of_a_still_are_passed_over() -> None:
    frame = key_frame(20)
    odd, even = chunk(b"ICCP", b"abc"), chunk(b"EXIF", b"VP8 ")

    _, segment = read(webm([bare(frame, odd, even)], 100))

    assert segment.one(CLUSTER, BLOCK)[4:] == frame


def test_what_is_transparent_is_left_out() -> None:
    _, segment = read(webm([still(mode="RGBA", color="#ff000080")], 100))

    assert len(segment.all(CLUSTER, BLOCK)) == 1


@pytest.mark.parametrize(
    ("stills", "said"),
    [
        ([], "expected stills of one size, not of 0"),
        ([still(), still(size=(48, 64))], "expected stills of one size, not of 2"),
        ([still(lossless=True)], "expected a lossy WebP file"),
        ([still()[:11]], "expected a lossy WebP file"),
        ([b"\x89PNG\r\n\x1a\n" + bytes(20)], "expected a lossy WebP file"),
        ([b""], "expected a lossy WebP file"),
        ([bare(b"\x11" + key_frame(20)[1:])], "expected a key frame of VP8"),
        ([bare(key_frame(20)[:9])], "expected a key frame of VP8"),
        ([bare(bytes(20))], "expected a key frame of VP8"),
    ],
)
def test_other_pictures_are_refused(stills: list[bytes], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        webm(stills, 100)


@pytest.mark.parametrize(
    ("ratio", "size"), [("16:9", (512, 288)), ("9:16", (288, 512)), ("21:9", (512, 219))]
)
def test_a_clip_is_drawn_in_the_ratio_asked_for(ratio: str, size: tuple[int, int]) -> None:
    values = {"prompt": "a red kite", "aspect_ratio": ratio}

    clip = draw(SEEDANCE, values, "video", "1")
    _, segment = read(clip)

    assert (*(segment.number(TRACKS, ENTRY, VIDEO, each) for each in (WIDTH, HEIGHT)),) == size
    frames = [each.content[4:] for each in segment.all(CLUSTER, BLOCK)]
    assert len(set(frames)) == len(frames) == 12, "the pattern moves"
    assert draw(SEEDANCE, values, "video", "1") == clip
    assert draw(SEEDANCE, values, "video", "2") != clip


def test_a_frame_of_a_clip_is_a_picture() -> None:
    clip = draw(SEEDANCE, {"prompt": "a red kite", "aspect_ratio": "1:1"}, "video", "1")
    _, segment = read(clip)

    for block in segment.all(CLUSTER, BLOCK):
        with Image.open(io.BytesIO(bare(block.content[4:]))) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("WEBP", (512, 512))


def test_a_run_of_a_video_model_leaves_a_webm(serve: Callable[..., Service]) -> None:
    service = serve()
    body = {"input": {"prompt": "a red kite", "aspect_ratio": "9:16"}}
    run = service.ask("POST", f"/v1/models/{SEEDANCE}/runs", json=body).json()
    service.later()

    [file] = service.get(f"/v1/runs/{run['id']}").json()["output"]["outputs"]
    answer = service.get(file["url"])
    _, segment = read(answer.content)

    assert file["url"].partition("?")[0].endswith("/0.webm")
    assert answer.headers["Content-Type"] == "video/webm"
    shown = (segment.number(TRACKS, ENTRY, VIDEO, each) for each in (WIDTH, HEIGHT))
    assert (*shown,) == (file["width"], file["height"]) == (288, 512)
