"""What a file is, by its name and by its first bytes."""

import pytest

from batchrun.base.first_bytes import sniffed
from batchrun.base.media_types import media_type

PNG, WEBP, AVIF, MP4, WEBM = (
    b"\x89PNG\r\n\x1a\n" + bytes(8),
    b"RIFF\x00\x00\x00\x00WEBP",
    b"\x00\x00\x00\x1cftypavif",
    b"\x00\x00\x00\x18ftypisom",
    b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.png", b"", "image/png"),
        ("a.PNG", b"", "image/png"),
        ("a.webp", b"", "image/webp"),
        ("a.jxl", b"", "image/jxl"),
        ("a.m4a", b"", "audio/mp4"),
        ("a.md", b"", "text/markdown"),
        ("a.jpg", PNG, "image/jpeg"),  # the name is the user's word
        ("picture", PNG, "image/png"),
        ("picture", WEBP, "image/webp"),
        ("picture", AVIF, "image/avif"),
        ("clip", MP4, "video/mp4"),
        ("clip", WEBM, "video/webm"),
        ("picture", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("page", b"%PDF-1.7", None),  # no media: it wants a name that tells
        ("thing", b"", None),
        ("notes", b"BMW on a road", None),
        ("scan", b"II*\0", None),
        ("thing.zzz", b"something", None),
    ],
)
def test_a_local_file_is_what_its_name_tells_else_its_first_bytes(
    name: str, head: bytes, kind: str | None
) -> None:
    assert media_type(name, head) == kind


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        *((PNG, ".png"), (WEBP, ".webp"), (AVIF, ".avif"), (MP4, ".mp4"), (WEBM, ".webm")),
        (b"%PDF-1.7", ".pdf"),
    ],
)
def test_first_bytes_name_an_extension(head: bytes, extension: str) -> None:
    assert sniffed(head) == extension
