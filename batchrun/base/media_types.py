"""The suffix of a media type, and the media type by a file's name and first bytes.

An extension comes from these tables, or is a short word of a URL: no answer of a server can put a
path into a file name, or make a file one that a system runs.
"""

import mimetypes
import re
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from batchrun.base.first_bytes import sniffed

_BY_TYPE: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/tiff": ".tiff",
    "image/bmp": ".bmp",
    "image/svg+xml": ".svg",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "audio/mpeg": ".mp3",
    "audio/mp3": ".mp3",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/wave": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/webm": ".weba",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "model/gltf-binary": ".glb",
    "model/gltf+json": ".gltf",
    "model/obj": ".obj",
    "model/stl": ".stl",
    "model/vnd.usdz+zip": ".usdz",
    "image/jxl": ".jxl",
    "image/vnd.adobe.photoshop": ".psd",
    "text/csv": ".csv",
    "text/vtt": ".vtt",
    "text/plain": ".txt",
}

_MORE_TYPES: Final = {
    **{f".{name}": f"image/{name}" for name in ("webp", "avif", "heic", "heif", "jxl")},
    ".mkv": "video/x-matroska",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
}
_PLAIN_TO_SEE: Final = frozenset(
    {".png", ".jpg", ".gif", ".webp", ".avif", ".heic", ".mp4", ".mov", ".m4a", ".webm"}
)
"""Kinds whose first bytes no text begins with: "BM" is a bitmap, and a word about cars."""

_CONTAINERS: Final = (
    frozenset({".mp4", ".mov", ".m4a", ".m4v"}),
    frozenset({".webm", ".mkv", ".weba"}),
    frozenset({".avif", ".heic", ".heif", ".mp4"}),
)

_BY_EXTENSION: Final = {
    extension: kind
    for kind, extension in reversed(_BY_TYPE.items())
    if extension in _PLAIN_TO_SEE and not (extension == ".webm" and kind.startswith("audio"))
}

_OTHER: Final = re.compile(r"\.[a-z0-9]{1,10}")
_RUN_BY_SOME_SYSTEM: Final = frozenset(
    {
        *(".app", ".bat", ".chm", ".cmd", ".com", ".cpl", ".desktop", ".dll", ".exe", ".hta"),
        *(".htm", ".html", ".jar", ".js", ".jse", ".lnk", ".msc", ".msi", ".php", ".pif", ".ps1"),
        *(".py", ".reg", ".scr", ".sh", ".url", ".vb", ".vbs", ".ws", ".wsf", ".xhtml"),
    }
)
_OURS: Final = frozenset({".part"})
"""What a file is called that is not whole."""


def extension(content_type: str | None, head: bytes, url_path: str = "") -> str:
    """Return the extension by first bytes that are plain to see, else by the content type, else by
    other first bytes, else by the URL's own.

    A service that writes image/png over every picture doesn't make one of it.
    """
    content, announced = sniffed(head), _BY_TYPE.get(content_type or "")
    if content in _PLAIN_TO_SEE and not _one_kind(content, announced):
        return content
    if (found := announced or content) is not None:
        return found
    suffix = PurePosixPath(url_path).suffix.lower()
    kept = _OTHER.fullmatch(suffix) and suffix not in _RUN_BY_SOME_SYSTEM | _OURS
    return suffix if kept else ".bin"


def _one_kind(content: str, announced: str | None) -> bool:
    """Say whether one container has two names: which of them, only the content type knows."""
    return any({content, announced} <= kinds for kinds in _CONTAINERS)


def media_type(name: str, head: bytes) -> str | None:
    """Return the type of a local file by its name, else by its first bytes."""
    return _types().guess_type(name)[0] or _BY_EXTENSION.get(sniffed(head) or "")


@cache
def _types() -> mimetypes.MimeTypes:
    """Return the table of extensions; made when a file is met, for it takes milliseconds."""
    types = mimetypes.MimeTypes(filenames=())  # the machine's own table would differ elsewhere
    for suffix, kind in _MORE_TYPES.items():
        types.add_type(kind, suffix)
    return types
