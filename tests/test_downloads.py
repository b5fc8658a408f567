"""A file under its final name is whole; nothing else is ever left in the folder."""

import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import httpx
import pytest

from batchrun.errors import FolderError
from batchrun.runflow.downloads import DownloadError, ExpiredError, Saved, fetch, inline
from batchrun.runflow.http import api_client, download_client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
URL = "https://files.example/a/b.png?signature=canary"
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


async def get(http: httpx.AsyncClient, folder: Path, url: str = URL) -> Saved:
    return await fetch(http, url, folder / "sub" / "cell.1", blocking=inline)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_saved_with_its_hash_under_its_types_extension(tmp_path: Path) -> None:
    http, _ = server(whole())

    saved = await get(http, tmp_path)

    assert saved.path == tmp_path / "sub" / "cell.1.png"
    assert saved.path.read_bytes() == PNG
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

    assert saved.path.read_bytes() == PNG
    assert len(asked) == 2


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
    assert saved.path.read_bytes() == PNG
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

    assert saved.path.read_bytes() == PNG
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

    assert saved.path.read_bytes() == PNG
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

    assert saved.path.name == name
    assert saved.path.read_bytes() == data
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
        ("image/jpeg", PNG, "x", ".jpg"),
        ("Image/WEBP; charset=binary", b"?", "x", ".webp"),
        ("video/mp4", b"?", "x", ".mp4"),
        ("application/octet-stream", PNG, "x.gif", ".png"),
        ("binary/octet-stream", b"RIFF1234WEBPVP8 ", "x", ".webp"),
        ("", b"\0\0\0\x18ftypisom....", "x", ".mp4"),
        ("", b"\0\0\0\x18ftypavif....", "x", ".avif"),
        ("", b"unheard of", "x.mov", ".mov"),
        ("", b"unheard of", "x.sh", ".bin"),
        ("image/../../../etc", b"unheard of", "..%2f..%2fx.%2fpng", ".bin"),
    ],
)
async def test_the_extension_comes_from_the_type_else_the_content_never_from_anyones_text(
    content_type: str, data: bytes, path: str, extension: str, tmp_path: Path
) -> None:
    http, _ = server(whole(data, Content_Type=content_type))

    saved = await get(http, tmp_path, f"https://files.example/{path}")

    assert saved.path == tmp_path / "sub" / f"cell.1{extension}"


async def test_a_disk_that_cannot_be_written_is_a_folder_error(tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("a file where the folder should be")
    http, _ = server(whole())

    with pytest.raises(FolderError, match="sub"):
        await get(http, tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")  # noqa: PTH110
async def test_a_full_disk_is_a_folder_error_and_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "cell.1.part").symlink_to("/dev/full")
    http, asked = server(whole(PNG * 100))

    with pytest.raises(FolderError, match="No space left"):
        await get(http, tmp_path)
    assert len(asked) == 1
    assert files(tmp_path) == []


async def test_a_failed_fsync_publishes_nothing(tmp_path: Path) -> None:
    async def failing(work: Callable[[], None]) -> None:
        raise OSError(5, "Input/output error")

    http, _ = server(whole())

    with pytest.raises(FolderError, match="Input/output"):
        await fetch(http, URL, tmp_path / "cell", blocking=failing)
    assert files(tmp_path) == []
