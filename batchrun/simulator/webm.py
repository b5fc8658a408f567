"""A WebM video made of still pictures (pure): lossy WebP files in, the file's bytes out.

The `VP8 ` chunk of a lossy WebP file is one key frame of VP8 (RFC 9649, section 2.5), and a WebM
file takes such frames as they are. So a video needs no encoder but that of the stills; it is larger
than one that says only what changed, and every frame can be jumped to.

WebM is Matroska with fewer elements (RFC 9559, and the WebM project's container guidelines), and
Matroska is EBML (RFC 8794): each element is an id, the size of its content, and its content. All
sizes are known here, and the cues stand before the clusters, so that a player finds them at once.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

_EBML: Final = 0x1A45DFA3
_EBML_VERSION: Final = 0x4286
_EBML_READ_VERSION: Final = 0x42F7
_EBML_MAX_ID_LENGTH: Final = 0x42F2
_EBML_MAX_SIZE_LENGTH: Final = 0x42F3
_DOC_TYPE: Final = 0x4282
_DOC_TYPE_VERSION: Final = 0x4287
_DOC_TYPE_READ_VERSION: Final = 0x4285
_SEGMENT: Final = 0x18538067
_INFO: Final = 0x1549A966
_TIMESTAMP_SCALE: Final = 0x2AD7B1
_DURATION: Final = 0x4489
_MUXING_APP: Final = 0x4D80
_WRITING_APP: Final = 0x5741
_TRACKS: Final = 0x1654AE6B
_TRACK_ENTRY: Final = 0xAE
_TRACK_NUMBER: Final = 0xD7
_TRACK_UID: Final = 0x73C5
_TRACK_TYPE: Final = 0x83
_FLAG_LACING: Final = 0x9C
_LANGUAGE: Final = 0x22B59C
_CODEC_ID: Final = 0x86
_DEFAULT_DURATION: Final = 0x23E383
_VIDEO: Final = 0xE0
_PIXEL_WIDTH: Final = 0xB0
_PIXEL_HEIGHT: Final = 0xBA
_CUES: Final = 0x1C53BB6B
_CUE_POINT: Final = 0xBB
_CUE_TIME: Final = 0xB3
_CUE_TRACK_POSITIONS: Final = 0xB7
_CUE_TRACK: Final = 0xF7
_CUE_CLUSTER_POSITION: Final = 0xF1
_CLUSTER: Final = 0x1F43B675
_TIMESTAMP: Final = 0xE7
_SIMPLE_BLOCK: Final = 0xA3

_TRACK: Final = 1
_A_VIDEO: Final = 1  # among the types of tracks
_MILLISECOND: Final = 1_000_000  # nanoseconds
_KEY_FRAME: Final = 0x80  # among the flags of a block
_APP: Final = b"batchrun simulator"


def webm(stills: Sequence[bytes], milliseconds: int) -> bytes:
    """Return the video that shows each of the *stills* for so many milliseconds.

    What is transparent in a still is not in the video. Raises ValueError where there is no still,
    where one isn't a lossy WebP, and where they are not all of one size.
    """
    frames = [_frame(still) for still in stills]
    sizes = {_size(frame) for frame in frames}
    if len(sizes) != 1:
        raise ValueError(f"expected stills of one size, not of {len(sizes)}")
    head = _info(len(frames) * milliseconds) + _tracks(*sizes.pop(), milliseconds)
    times = [n * milliseconds for n in range(len(frames))]
    clusters = [_cluster(time, frame) for time, frame in zip(times, frames, strict=True)]
    before = len(head) + len(_cues(times, times))  # a cue is as long wherever it leads
    starts = accumulate((len(cluster) for cluster in clusters[:-1]), initial=before)
    return _header() + _element(_SEGMENT, head, _cues(times, [*starts]), *clusters)


def _frame(still: bytes) -> bytes:
    """Return the key frame in a WebP file."""
    for name, content in _chunks(still):
        if name == b"VP8 ":
            return content
    raise ValueError("expected a lossy WebP file")


def _chunks(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a WebP file (RFC 9649, section 2.3): their names, their content."""
    if still[:4] != b"RIFF" or still[8:12] != b"WEBP":
        return
    place = 12
    while place + 8 <= len(still):
        name, size = struct.unpack_from("<4sI", still, place)
        yield name, still[place + 8 : place + 8 + size]
        place += 8 + size + size % 2  # an odd one is padded


def _size(frame: bytes) -> tuple[int, int]:
    """Return width and height of a key frame (RFC 6386, section 9.1)."""
    is_key = len(frame) >= 10 and not frame[0] & 1
    if not is_key or frame[3:6] != b"\x9d\x01\x2a":
        raise ValueError("expected a key frame of VP8")
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF  # the two bits above are a scale


def _header() -> bytes:
    return _element(
        _EBML,
        _number(_EBML_VERSION, 1),
        _number(_EBML_READ_VERSION, 1),
        _number(_EBML_MAX_ID_LENGTH, 4),
        _number(_EBML_MAX_SIZE_LENGTH, 8),
        _element(_DOC_TYPE, b"webm"),
        _number(_DOC_TYPE_VERSION, 2),  # the first with simple blocks
        _number(_DOC_TYPE_READ_VERSION, 2),
    )


def _info(milliseconds: int) -> bytes:
    return _element(
        _INFO,
        _number(_TIMESTAMP_SCALE, _MILLISECOND),
        _element(_DURATION, struct.pack(">d", milliseconds)),
        _element(_MUXING_APP, _APP),
        _element(_WRITING_APP, _APP),
    )


def _tracks(width: int, height: int, milliseconds: int) -> bytes:
    shape = _element(_VIDEO, _number(_PIXEL_WIDTH, width), _number(_PIXEL_HEIGHT, height))
    entry = _element(
        _TRACK_ENTRY,
        _number(_TRACK_NUMBER, _TRACK),
        _number(_TRACK_UID, _TRACK),
        _number(_TRACK_TYPE, _A_VIDEO),
        _number(_FLAG_LACING, 0),
        _element(_LANGUAGE, b"und"),
        _element(_CODEC_ID, b"V_VP8"),
        _number(_DEFAULT_DURATION, milliseconds * _MILLISECOND),
        shape,
    )
    return _element(_TRACKS, entry)


def _cues(times: Sequence[int], starts: Sequence[int]) -> bytes:
    """Return where each frame's cluster starts, from the beginning of the segment's content."""
    return _element(_CUES, *map(_cue, times, starts))


def _cue(time: int, start: int) -> bytes:
    position = _element(_CUE_CLUSTER_POSITION, start.to_bytes(8))
    place = _element(_CUE_TRACK_POSITIONS, _number(_CUE_TRACK, _TRACK), position)
    return _element(_CUE_POINT, _number(_CUE_TIME, time), place)


def _cluster(time: int, frame: bytes) -> bytes:
    """Return a frame as a cluster of its own: its time is the cluster's, so the block's is 0."""
    block = _vint(_TRACK) + struct.pack(">hB", 0, _KEY_FRAME) + frame
    return _element(_CLUSTER, _number(_TIMESTAMP, time), _element(_SIMPLE_BLOCK, block))


def _number(name: int, value: int) -> bytes:
    return _element(name, _bytes(value))


def _element(name: int, *content: bytes) -> bytes:
    """Return an element: id, size and content (RFC 8794, section 3)."""
    data = b"".join(content)
    return _bytes(name) + _vint(len(data)) + data


def _vint(number: int) -> bytes:
    """Return a number that says how long it is (RFC 8794, section 4), in as few bytes as hold it.

    Of n bytes the first n - 1 bits are 0 and the next is 1; 7 n bits are left. All of these set to
    1 would mean a size that isn't known.
    """
    count = 1
    while number >= (1 << 7 * count) - 1:
        count += 1
    return (1 << 7 * count | number).to_bytes(count)


def _bytes(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8))
