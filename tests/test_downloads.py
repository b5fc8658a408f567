"""A file under its final name is whole; nothing else is ever left in the folder."""

import base64
import gzip
import hashlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from raw_server import Script, raw_server

from batchrun.base.output_store import OutputStore
from batchrun.errors import FolderError
from batchrun.runflow import downloads
from batchrun.runflow.downloads import (
    ENOUGH,
    MOST_BYTES,
    STALLED,
    Downloaded,
    DownloadError,
    ExpiredError,
    inline,
)
from batchrun.runflow.http.client import api_client, download_client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
URL = "https://files.example/a/b.png?signature=canary"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n"
LENGTH = b"Content-Length: 900\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
Answer = httpx.Response | Exception


class Broken(httpx.AsyncByteStream):
    """A body that ends in an error, or just ends."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self.data, self.error = data, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data
        if self.error is not None:
            raise self.error


def server(*answers: Answer) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        stream = answer.stream if isinstance(answer.stream, Broken) else Broken(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    return download_client(transport=httpx.MockTransport(handle)), asked


def whole(data: bytes = PNG, status: int = 200, **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=data, headers={"Content-Type": "image/png"} | headers)


def cut(at: int, *, error: Exception | None, **headers: str) -> httpx.Response:
    length = {"Content-Type": "image/png", "Content-Length": str(len(PNG))}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=length | told, stream=Broken(PNG[:at], error))


async def fetch(
    http: httpx.AsyncClient, url: str, store: OutputStore, name: str, **rest: Any
) -> Downloaded:
    """Save a file in the store, as its caller does."""
    with store.writing(name) as part:
        return await downloads.fetch(http, url, part, **rest)


async def get(http: httpx.AsyncClient, folder: Path, url: str = URL) -> Downloaded:
    return await fetch(http, url, OutputStore(folder), "sub/cell.1", blocking=inline)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_saved_with_its_hash_under_its_types_extension(tmp_path: Path) -> None:
    http, _ = server(whole())

    saved = await get(http, tmp_path)

    assert saved.name == "sub/cell.1.png"
    assert (tmp_path / saved.name).read_bytes() == PNG
    assert (saved.bytes, saved.content_type) == (len(PNG), "image/png")
    assert saved.sha256 == hashlib.sha256(PNG).hexdigest()
    assert files(tmp_path) == ["cell.1.png"]


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout(""),
        OSError("TLS"),
        *(httpx.Response(status) for status in (408, 416, 429, 500, 503)),
        cut(100, error=httpx.ReadError("reset")),
        cut(100, error=None),
        whole(b""),
        whole(b"<html>log in to the hotel</html>", Content_Type="text/html"),
    ],
)
async def test_what_passes_is_tried_again(fault: Answer, tmp_path: Path) -> None:
    http, asked = server(fault, whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert len(asked) == 2


DATED = {"Date": "Fri, 01 May 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 1.5),
        ({"Retry-After": "-1"}, 1.5),
        ({"Retry-After": "3600"}, 30.0),
        ({"Retry-After": "Fri, 01 May 2026 12:00:09 GMT", **DATED}, 9.0),
        ({"Retry-After": "Fri, 01 May 2026 12:00:09 GMT"}, 1.5),
        ({"X-RateLimit-Reset": "9" * 300, **DATED}, 1.5),
    ],
)
async def test_a_file_server_is_asked_again_after_the_wait_it_names_and_not_sooner_than_ours(
    headers: dict[str, str], seconds: float, tmp_path: Path
) -> None:
    http, _ = server(httpx.Response(429, headers=headers), whole())
    started = anyio.current_time()

    await get(http, tmp_path)

    assert anyio.current_time() - started == pytest.approx(seconds)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_an_expired_url_is_said_at_once_and_leaves_nothing(
    status: int, tmp_path: Path
) -> None:
    http, asked = server(httpx.Response(status, text="<Error>ExpiredToken</Error>"))

    with pytest.raises(ExpiredError, match=str(status)) as stopped:
        await get(http, tmp_path)

    assert "canary" not in str(stopped.value)
    assert len(asked) == 1
    assert files(tmp_path) == []


async def test_what_does_not_pass_ends_after_its_tries_with_ever_longer_pauses(
    tmp_path: Path,
) -> None:
    http, asked = server(httpx.ReadError("reset"))
    started = anyio.current_time()

    with pytest.raises(DownloadError, match=r"files\.example") as stopped:
        await get(http, tmp_path)

    assert len(asked) == 5
    assert anyio.current_time() - started == pytest.approx(1.5 * (1 + 2 + 4 + 8))
    assert "canary" not in str(stopped.value)
    assert files(tmp_path) == []


@pytest.mark.parametrize("validator", [{"ETag": '"v1"'}, {"Last_Modified": "Fri, 01 May 2026"}])
async def test_a_cut_file_goes_on_where_it_stopped(
    validator: dict[str, str], tmp_path: Path
) -> None:
    rest = whole(PNG[100:], 206, Content_Range=f"bytes 100-{len(PNG) - 1}/{len(PNG)}")
    http, asked = server(cut(100, error=httpx.ReadError("reset"), **validator), rest)

    saved = await get(http, tmp_path)

    assert asked[1].headers["Range"] == "bytes=100-"
    assert asked[1].headers["If-Range"] == next(iter(validator.values()))
    assert (tmp_path / saved.name).read_bytes() == PNG
    assert saved.sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        whole(),
        whole(PNG[50:], 206, Content_Range=f"bytes 50-{len(PNG) - 1}/{len(PNG)}"),
        whole(PNG[100:-9], 206, Content_Range=f"bytes 100-{len(PNG) - 1}/{len(PNG)}"),
        whole(PNG[100:], 206),
        httpx.Response(416),
    ],
)
async def test_where_the_rest_does_not_fit_it_begins_again(
    answer: httpx.Response, tmp_path: Path
) -> None:
    http, _ = server(cut(100, error=httpx.ReadError("reset"), ETag='"v1"'), answer, whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert saved.sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
async def test_without_proof_that_it_is_the_same_file_nothing_is_joined(
    etag: str | None, tmp_path: Path
) -> None:
    told = {} if etag is None else {"ETag": etag}
    http, asked = server(cut(100, error=httpx.ReadError("reset"), **told), whole())

    await get(http, tmp_path)

    assert "Range" not in asked[1].headers


async def test_a_part_of_an_earlier_life_is_never_continued(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "cell.1.part").write_bytes(b"something else" * 10_000)
    http, asked = server(whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert "Range" not in asked[0].headers
    assert files(tmp_path) == ["cell.1.png"]


async def test_fetched_twice_it_is_the_same_file(tmp_path: Path) -> None:
    http, _ = server(whole())

    assert await get(http, tmp_path) == await get(http, tmp_path)
    assert files(tmp_path) == ["cell.1.png"]


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        return whole()

    with anyio.move_on_after(1) as scope:
        await get(download_client(transport=httpx.MockTransport(handle)), tmp_path)

    assert scope.cancelled_caught
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "data", "name"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), PNG, "cell.1.png"),
        ("data:image/png;base64," + base64.b64encode(PNG).decode().rstrip("="), PNG, "cell.1.png"),
        ("data:image/svg+xml,%3Csvg%2F%3E", b"<svg/>", "cell.1.svg"),
        ("DATA:;base64," + base64.b64encode(PNG).decode(), PNG, "cell.1.png"),
    ],
)
async def test_a_data_uri_is_decoded_without_a_call(
    url: str, data: bytes, name: str, tmp_path: Path
) -> None:
    http, asked = server(whole())

    saved = await get(http, tmp_path, url)

    assert Path(saved.name).name == name
    assert (tmp_path / saved.name).read_bytes() == data
    assert asked == []


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,", "data:image/png;base64,A", "data:nothing"]
)
async def test_a_data_uri_that_holds_nothing_is_an_error(url: str, tmp_path: Path) -> None:
    http, _ = server(whole())

    with pytest.raises(DownloadError, match="data: URI"):
        await get(http, tmp_path, url)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/a.png",
        "http://169.254.169.254/latest",
        "ftp://files.example/a",
        "file:///etc/passwd",
        "/relative",
        "https://",
        "https://[::1",
        "",
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
async def test_only_https_and_this_machine_are_opened_also_over_redirects(
    url: str, *, redirected: bool, tmp_path: Path
) -> None:
    http, asked = server(httpx.Response(302, headers={"Location": url}), whole())
    if redirected and not url.startswith(("http://", "ftp")):
        return  # resolved against where it came from, or no redirect at all

    with pytest.raises(DownloadError):
        await get(http, tmp_path, URL if redirected else url)
    assert len(asked) == redirected


async def test_redirects_are_followed_and_a_circle_of_them_ends(tmp_path: Path) -> None:
    there = httpx.Response(302, headers={"Location": "https://cdn.example/x.png"})
    http, asked = server(there, whole())
    assert (await get(http, tmp_path)).bytes == len(PNG)
    assert asked[1].url.host == "cdn.example"

    http, asked = server(there)
    with pytest.raises(DownloadError, match="redirects"):
        await get(http, tmp_path)
    assert len(asked) == 8


async def test_the_client_with_the_key_is_refused(tmp_path: Path) -> None:
    http = api_client("https://api.example", "rf_live_0123456789", connections=1)

    with pytest.raises(ValueError, match="key"):
        await get(http, tmp_path)


@pytest.mark.parametrize(
    ("content_type", "data", "path", "extension"),
    [
        ("image/jpeg", PNG, "x", ".png"),
        ("image/png", b"\xff\xd8\xff\xe0" + bytes(60), "x.png", ".jpg"),
        ("image/png", b"\0\0\0\x18ftypmp42....", "x.png", ".mp4"),
        ("text/plain", PNG, "x", ".png"),
        ("text/html; charset=utf-8", PNG, "x", ".png"),
        ("video/quicktime", b"\0\0\0\x18ftypmp42....", "x", ".mov"),
        ("video/x-matroska", b"\x1aE\xdf\xa3....", "x", ".mkv"),
        ("text/plain", b"BMW on a road", "x", ".txt"),
        ("application/octet-stream", b"v 0.1 0.2 0.3\n", "chair.obj", ".obj"),
        ("model/obj", b"v 0.1 0.2 0.3\n", "x", ".obj"),
        ("", b"unheard of", "chair.FBX", ".fbx"),
        ("Image/WEBP; charset=binary", b"?", "x", ".webp"),
        ("video/mp4", b"?", "x", ".mp4"),
        ("application/octet-stream", PNG, "x.gif", ".png"),
        ("binary/octet-stream", b"RIFF1234WEBPVP8 ", "x", ".webp"),
        ("", b"\0\0\0\x18ftypisom....", "x", ".mp4"),
        ("", b"\0\0\0\x18ftypavif....", "x", ".avif"),
        ("", b"unheard of", "x.mov", ".mov"),
        ("", b"unheard of", "x.sh", ".bin"),
        ("", b"unheard of", "x.HTML", ".bin"),
        ("", b"unheard of", "x.part", ".bin"),
        ("", b"unheard of", "x.blend", ".blend"),
        ("application/x-ktx2", b"unheard of", "x.KTX2", ".ktx2"),
        ("", b"unheard of", "x.tar.zst", ".zst"),
        ("", b"unheard of", "x.far_too_long_for_one", ".bin"),
        ("", b"unheard of", "x.p%2fng", ".bin"),
        ("image/../../../etc", b"unheard of", "..%2f..%2fx.%2fpng", ".bin"),
    ],
)
async def test_the_extension_comes_from_the_type_else_the_content_never_from_anyones_text(
    content_type: str, data: bytes, path: str, extension: str, tmp_path: Path
) -> None:
    http, _ = server(whole(data, Content_Type=content_type))

    saved = await get(http, tmp_path, f"https://files.example/{path}")

    assert saved.name == f"sub/cell.1{extension}"


async def test_a_disk_that_cannot_be_written_is_a_folder_error(tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("a file where the folder should be")
    http, _ = server(whole())

    with pytest.raises(FolderError, match="sub"):
        await get(http, tmp_path)


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond *size*: a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_a_folder_error_and_not_tried_again(tmp_path: Path) -> None:
    http, asked = server(whole(PNG * 100))

    with files_end_at(len(PNG)), pytest.raises(FolderError, match=r"cell\.1.*too large"):
        await get(http, tmp_path)
    assert len(asked) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["cell.1.part", "cell.1.png"])
async def test_a_link_put_there_beforehand_is_replaced_and_not_followed(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "sub" / name).symlink_to(tmp_path / "mine")
    http, _ = server(whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / "mine").read_text() == "precious"
    assert not (tmp_path / saved.name).is_symlink()
    assert (tmp_path / saved.name).read_bytes() == PNG


# What a server may do to one who waits for a file.


class Drip(httpx.AsyncByteStream):
    """A body of single bytes, one every ten seconds: no time-out between them ever ends it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await anyio.sleep(10)
            yield b"x"


async def test_a_body_that_trickles_is_given_up_after_a_while(tmp_path: Path) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Drip())

    http = download_client(transport=httpx.MockTransport(handle))
    with pytest.raises(DownloadError, match="TimeoutError"):
        await fetch(http, URL, OutputStore(tmp_path), "cell", blocking=inline, tries=2)

    assert 2 * STALLED <= anyio.current_time() < 2 * STALLED + 10
    assert files(tmp_path) == []


class Slow(httpx.AsyncByteStream):
    """A body that takes long, and comes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(20):
            await anyio.sleep(STALLED * 0.9)
            yield bytes(ENOUGH)


async def test_a_slow_body_that_comes_is_waited_for(tmp_path: Path) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Slow(), headers={"Content-Type": "video/mp4"})

    http = download_client(transport=httpx.MockTransport(handle))
    saved = await fetch(http, URL, OutputStore(tmp_path), "cell", blocking=inline)

    assert saved.bytes == 20 * ENOUGH


async def test_a_file_that_is_said_to_have_no_end_is_not_begun(tmp_path: Path) -> None:
    http, asked = server(whole(PNG, Content_Length=str(MOST_BYTES + 1)))

    with pytest.raises(DownloadError, match="more than 16 GiB"):
        await get(http, tmp_path)
    assert len(asked) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "header",
    [
        ("Repr-Digest", "sha-256=:{}:"),
        ("Digest", "md5=xx,SHA-256={}"),
        ("x-amz-checksum-sha256", "{}"),
    ],
)
async def test_a_hash_that_is_announced_is_checked(tmp_path: Path, header: tuple[str, str]) -> None:
    name, text = header
    told = {name: text.format(base64.b64encode(hashlib.sha256(PNG).digest()).decode())}
    http, asked = server(httpx.Response(200, headers=told, content=PNG[:-1] + b"!"), whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert len(asked) == 2


@pytest.mark.parametrize("told", ["sha-256=:nonsense:", "sha-512=:AAAA:", "sha-256"])
async def test_a_hash_that_is_none_is_passed_over(tmp_path: Path, told: str) -> None:
    http, asked = server(whole(Repr_Digest=told))

    await get(http, tmp_path)

    assert len(asked) == 1


async def test_a_part_of_another_version_is_not_joined(tmp_path: Path) -> None:
    """If-Range is the server's to obey; one that doesn't tells by the ETag of the part."""
    rest = whole(
        b"?" * (len(PNG) - 100),
        206,
        Content_Range=f"bytes 100-{len(PNG) - 1}/{len(PNG)}",
        ETag='"v2"',
    )
    http, asked = server(cut(100, error=httpx.ReadError("reset"), ETag='"v1"'), rest, whole())

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert len(asked) == 3


@pytest.mark.parametrize("media", ["image", None])
@pytest.mark.parametrize(
    "start", [b"<html>", b"\n<!DOCTYPE html><html>", b"\xef\xbb\xbf<!doctype html>"]
)
async def test_a_page_is_no_picture_whatever_it_says_it_is(
    tmp_path: Path, start: bytes, media: str | None
) -> None:
    http, asked = server(whole(start + b"log in</html>", Content_Type="image/png"), whole())

    saved = await fetch(http, URL, OutputStore(tmp_path), "cell", media=media, blocking=inline)

    assert saved.name == "cell.png"
    assert len(asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example:99999/a.png",
        "https://files.example:0/a.png",
        "https://files.example:x/a.png",
        f"https://{'a' * 64}.example/a.png",
        "https://../a.png",
        "https://files.example/\0.png",
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_address_that_cannot_be_opened_is_an_error_of_that_file(
    tmp_path: Path, url: str
) -> None:
    async with download_client() as http:
        with pytest.raises(DownloadError):
            await fetch(http, url, OutputStore(tmp_path), "cell", tries=1)


@pytest.mark.parametrize("kind", ["application/json", "application/xml", "text/xml", "text/html"])
async def test_a_message_with_200_is_not_taken_for_the_picture(tmp_path: Path, kind: str) -> None:
    http, asked = server(whole(b'<?xml version="1.0"?><Error>', Content_Type=kind), whole())

    saved = await fetch(http, URL, OutputStore(tmp_path), "cell", media="image", blocking=inline)

    assert saved.name == "cell.png"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("kind", "data", "url", "media", "name"),
    [
        ("application/json", b"{}", URL, None, "cell.json"),
        ("application/xml", PNG, URL, "image", "cell.png"),
        ("text/xml", b"<?xml?><svg/>", "https://files.example/a.svg", "image", "cell.svg"),
        ("text/plain", b"\x00\x01", URL, "image", "cell.txt"),
    ],
)
async def test_an_odd_content_type_alone_is_no_reason_to_refuse_a_file(
    kind: str, data: bytes, url: str, media: str | None, name: str, tmp_path: Path
) -> None:
    http, _ = server(whole(data, Content_Type=kind))

    saved = await fetch(http, url, OutputStore(tmp_path), "cell", media=media, blocking=inline)

    assert Path(saved.name).name == name


async def test_a_body_that_was_packed_for_the_way_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(PNG)
    told = {"Content-Encoding": "gzip", "Content-Length": str(len(packed)), "ETag": '"packed"'}
    torn = httpx.Response(200, headers=told, stream=Broken(packed[:50]))
    http, asked = server(torn, httpx.Response(200, headers=told, stream=Broken(packed)))

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG
    assert asked[0].headers["Accept-Encoding"] == "identity"
    assert "Range" not in asked[1].headers, "a length of the packed file is none of the file"


@pytest.mark.parametrize("packing", ["br", "zstd", "x-gzip", "gzip, gzip", "aws-chunked, br"])
async def test_a_body_that_would_be_unpacked_wrongly_or_without_bounds_is_no_file(
    tmp_path: Path, packing: str
) -> None:
    told = {"Content-Encoding": packing}
    http, asked = server(httpx.Response(200, headers=told, stream=Broken(PNG)))

    with pytest.raises(DownloadError, match="packed"):
        await get(http, tmp_path)

    assert files(tmp_path) == []
    assert len(asked) == 1


@pytest.mark.parametrize("packing", ["aws-chunked", "identity", "utf-8", ""])
async def test_a_word_that_says_nothing_of_the_file_is_passed_over(
    tmp_path: Path, packing: str
) -> None:
    http, _ = server(httpx.Response(200, headers={"Content-Encoding": packing}, stream=Broken(PNG)))

    saved = await get(http, tmp_path)

    assert (tmp_path / saved.name).read_bytes() == PNG


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("redirected", [False, True])
async def test_http_to_this_machine_is_opened_only_where_the_api_is_on_it(
    tmp_path: Path, *, loopback: bool, redirected: bool
) -> None:
    """Else a service could have us call what listens here and trusts who calls from here."""
    here = "http://127.0.0.1:8500/v1/agent/leave"
    answers = [httpx.Response(302, headers={"Location": here})] * redirected + [whole()]
    http, asked = server(*answers)
    url = URL if redirected else here

    if loopback:
        assert (
            await fetch(http, url, OutputStore(tmp_path), "c", loopback=True, blocking=inline)
        ).bytes
    else:
        with pytest.raises(DownloadError, match="only https"):
            await fetch(http, url, OutputStore(tmp_path), "c", blocking=inline)
    assert len(asked) == redirected + loopback


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:text/plain,x", "//10.0.0.1/x\x00"])
async def test_a_redirect_to_what_is_no_https_ends_it(tmp_path: Path, url: str) -> None:
    http, asked = server(httpx.Response(302, headers={"Location": url}))

    with pytest.raises(DownloadError):
        await get(http, tmp_path)
    assert {request.url.scheme for request in asked} == {"https"}
    assert files(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            ["read", HEAD + b"Content-Length: 900\r\n\r\n" + PNG[:500], "close"], id="cut"
        ),
        pytest.param(["read", HEAD + b"Content-Length: 900\r\n\r\n", "reset"], id="reset"),
        pytest.param(["read", HEAD + CHUNKED + b"1f4\r\n" + PNG[:500], "close"], id="cut-chunk"),
        pytest.param(
            ["read", HEAD + CHUNKED + b"1f4\r\n" + PNG[:500] + b"\r\n", "close"],
            id="no-last-chunk",
        ),
        pytest.param(["read", HEAD + CHUNKED + b"zz\r\n", "close"], id="no-chunk-at-all"),
        pytest.param(["read", b"HTTP/1.1 20", "close"], id="cut-head"),
        pytest.param(["close"], id="nothing"),
    ],
)
async def test_a_broken_answer_is_never_taken_for_a_file(tmp_path: Path, script: Script) -> None:
    good: Script = [
        "read",
        HEAD + CHUNKED + b"1f4\r\n" + PNG[:500] + b"\r\n0\r\n\r\n",
        "close",
    ]
    with raw_server(script, good) as files_host:
        async with download_client() as http:
            saved = await fetch(
                http,
                files_host.url + "/a.png",
                OutputStore(tmp_path),
                "c",
                loopback=True,
                jitter=lambda: -0.9,
            )

    assert (tmp_path / saved.name).read_bytes() == PNG[:500]
    assert files(tmp_path) == ["c.png"]
    assert files_host.connections == 2


async def test_a_file_has_its_name_once_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, names = os.fsync, list[list[str]]()

    def noting(fd: int) -> None:
        names.append(files(tmp_path))
        fsync(fd)

    http, _ = server(whole())
    monkeypatch.setattr(os, "fsync", noting)

    await fetch(http, URL, OutputStore(tmp_path), "cell", blocking=inline)

    of_the_file, of_the_folder = names
    assert of_the_file == ["cell.part"]
    assert of_the_folder == files(tmp_path) == ["cell.png"]


async def test_a_failed_fsync_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int) -> None:
        raise OSError(5, "Input/output error")

    http, _ = server(whole())
    monkeypatch.setattr(os, "fsync", failing)

    with pytest.raises(FolderError, match="Input/output"):
        await fetch(http, URL, OutputStore(tmp_path), "cell", blocking=inline)
    assert files(tmp_path) == []
