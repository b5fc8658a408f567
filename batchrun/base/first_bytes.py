"""The kind of a file by its first bytes: an extension, or how its text is encoded. Pure."""

from typing import Final

_BY_START: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"\x1aE\xdf\xa3", ".webm"),
    (b"OggS", ".ogg"),
    (b"fLaC", ".flac"),
    (b"ID3", ".mp3"),
    (b"\xff\xfb", ".mp3"),
    (b"%PDF-", ".pdf"),
    (b"PK\x03\x04", ".zip"),
    (b"glTF", ".glb"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tiff"),
    (b"MM\0*", ".tiff"),
    (b"<svg", ".svg"),
)
_BY_RIFF: Final = {b"WEBP": ".webp", b"WAVE": ".wav"}
_BY_BRAND: Final = {b"avif": ".avif", b"heic": ".heic", b"qt  ": ".mov", b"M4A ": ".m4a"}
_BY_MARK: Final = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def wide_text(head: bytes) -> str | None:
    """Return the encoding that the mark before a text names; None: it may be UTF-8."""
    return next((name for mark, name in _BY_MARK if head.startswith(mark)), None)


def is_page(head: bytes) -> bool:
    """Say whether a file begins as a web page does."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def sniffed(head: bytes) -> str | None:
    """Return the extension that the first bytes of a file stand for."""
    if head[:4] == b"RIFF":
        return _BY_RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BY_BRAND.get(head[8:12], ".mp4")
    return next((name for start, name in _BY_START if head.startswith(start)), None)
