"""The three steps of an upload, each going wrong, on both backends."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import anyio
import httpx
import pytest

from batchrun.base.local_file import LocalFile
from batchrun.errors import KeyRefusedError, NotPermittedError, OutOfCreditError, UnreachableError
from batchrun.runflow.assets import ChangedFileError, FailedUploadError, RefusedFileError, upload
from batchrun.runflow.client import Client
from batchrun.runflow.http.client import api_client, download_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CONTENT = bytes(range(256)) * 3000  # more than one chunk
Answer = tuple[int, dict[str, object]]


class Service:
    """Answers the steps by *script*: each status once, the last of a step for ever."""

    def __init__(self, **script: list[int]) -> None:
        self.script = {step: list(statuses) for step, statuses in script.items()}
        self.seen: list[str] = []
        self.received = b""
        self.url = "https://storage.example/put?signature=1"
        self.headers: dict[str, str] = {}  # of the storage host's answers

    def api(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer rf_live_canary_1"
        step = {"asset-uploads": "place", "confirmations": "confirm"}.get(
            request.url.path.rpartition("/")[2], "asset"
        )
        self.seen.append(step)
        good: dict[str, Answer] = {
            "place": (201, {"asset_id": f"a{self.seen.count('place')}", "upload_url": self.url}),
            "confirm": (201, {"id": "a"}),
            "asset": (200, {"id": "a"}),
        }
        status = self._next(step, good[step][0])
        if status < 300:
            return httpx.Response(status, json=good[step][1])
        return httpx.Response(status, json={"code": f"CODE_{status}", "message": f"said {status}"})

    async def storage(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        assert request.headers["Content-Type"] == "image/png"
        assert request.headers["Content-Length"] == str(len(CONTENT))
        assert "Transfer-Encoding" not in request.headers
        self.seen.append("put")
        self.received = await request.aread()
        return httpx.Response(self._next("put", 200), headers=self.headers)

    def _next(self, step: str, default: int) -> int:
        left = self.script.get(step, [default])
        return left.pop(0) if len(left) > 1 else left[0]

    async def take(self, file: LocalFile) -> str:
        async with (
            api_client(
                "https://api.example",
                "rf_live_canary_1",
                connections=1,
                transport=httpx.MockTransport(self.api),
            ) as http,
            download_client(transport=httpx.MockTransport(self.storage)) as storage,
        ):
            pace = Pace(100.0, jitter=Random(1).random)
            client = Client(http, Limiter(pace), give_up=60.0, clock=lambda: NOON)
            return await upload(client, storage, file)


@pytest.mark.parametrize(("named", "seconds"), [("7", 7.0), ("0", 2.0), ("3600", 20.0)])
async def test_a_storage_host_is_asked_again_after_the_wait_it_names(
    file: LocalFile, named: str, seconds: float
) -> None:
    service = Service(put=[503, 200])
    service.headers = {"Retry-After": named}
    started = anyio.current_time()

    await service.take(file)

    assert anyio.current_time() - started == pytest.approx(seconds, abs=0.1)


@pytest.fixture
def file(tmp_path: Path) -> LocalFile:
    path = tmp_path / "photo.png"
    path.write_bytes(CONTENT)
    return LocalFile(
        path=path,
        written="photo.png",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        mime="image/png",
    )


async def test_the_bytes_are_put_without_the_key_and_confirmed(file: LocalFile) -> None:
    service = Service()

    assert await service.take(file) == "a1"

    assert service.seen == ["place", "put", "confirm"]
    assert service.received == CONTENT


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ({"put": [503, 200]}, "place put put confirm"),
        ({"put": [403, 200]}, "place put place put confirm"),
        ({"place": [503, 201]}, "place place put confirm"),
        ({"confirm": [500, 201]}, "place put confirm confirm"),
        ({"confirm": [409]}, "place put confirm asset"),
        ({"confirm": [422, 201], "asset": [404]}, "place put confirm asset place put confirm"),
    ],
)
async def test_a_broken_step_is_done_again(
    script: dict[str, list[int]], seen: str, file: LocalFile
) -> None:
    service = Service(**script)

    await service.take(file)

    assert service.seen == seen.split()


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ({"place": [422]}, RefusedFileError, "HTTP 422 CODE_422: `photo.png`: said 422"),
        ({"place": [413]}, RefusedFileError, "HTTP 413"),
        ({"confirm": [422], "asset": [404]}, RefusedFileError, "HTTP 422"),
        ({"place": [401]}, KeyRefusedError, "check `RUNFLOW_API_KEY`"),
        ({"place": [402]}, OutOfCreditError, "out of credit"),
        ({"confirm": [403]}, NotPermittedError, "doesn't permit POST .*/confirmations"),
        ({"place": [500]}, FailedUploadError, "`photo.png` could not be .*answer for 60 s"),
        ({"confirm": [500]}, FailedUploadError, "HTTP 500 .* to POST .*/confirmations"),
        ({"put": [403]}, RefusedFileError, "HTTP 403 UPLOAD_REFUSED: .*HTTP 403 from storage"),
        ({"put": [500]}, FailedUploadError, "`photo.png` could not be uploaded: HTTP 500 from"),
    ],
)
async def test_what_does_not_get_better_is_said(
    script: dict[str, list[int]], error: type[Exception], said: str, file: LocalFile
) -> None:
    with pytest.raises(error, match=said):
        await Service(**script).take(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(CONTENT[:-1] + b"!"),
        lambda path: path.write_bytes(CONTENT[:-1]),
        lambda path: path.write_bytes(CONTENT * 2),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["other", "shorter", "longer", "empty", "gone"],
)
async def test_a_changed_file_is_never_put_whole(
    change: Callable[[Path], object], file: LocalFile
) -> None:
    change(file.path)
    service = Service()

    with pytest.raises(ChangedFileError, match=r"`photo\.png`"):
        await service.take(file)

    assert service.received != CONTENT
    assert "confirm" not in service.seen


@pytest.mark.parametrize("url", ["http://storage.example/x", "ftp://storage.example/x", "x"])
async def test_bytes_are_put_to_https_only(url: str, file: LocalFile) -> None:
    service = Service()
    service.url = url

    with pytest.raises(FailedUploadError, match=r"`photo.png` could not be .* an upload URL"):
        await service.take(file)

    assert service.seen == ["place"] * 3


@pytest.mark.parametrize("others", [True, False])
async def test_what_nothing_answers_is_the_file_s_fault_if_others_are_answered(
    file: LocalFile, *, others: bool
) -> None:
    def api(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            raise httpx.ConnectError("reset by a gateway", request=request)
        return httpx.Response(200, json={"id": "a"})

    async with (
        api_client(
            "https://api.example", "key", connections=1, transport=httpx.MockTransport(api)
        ) as http,
        download_client(transport=httpx.MockTransport(api)) as storage,
        anyio.create_task_group() as tasks,
    ):
        pace = Pace(100.0, jitter=Random(1).random)
        client = Client(http, Limiter(pace), give_up=60.0, clock=lambda: NOON)

        async def ask() -> None:
            while True:
                await client.asset("a")
                await anyio.sleep(5)

        if others:
            tasks.start_soon(ask)
        with pytest.raises(FailedUploadError if others else UnreachableError, match="for 60 s"):
            await upload(client, storage, file)
        tasks.cancel_scope.cancel()
