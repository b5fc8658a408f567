"""Callbacks over real sockets: the whole command against a simulator that calls back."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import anyio
import anyio.abc
import httpx
import pytest
from free_port import free_port
from processes import (
    PATIENCE,
    call,
    environment,
    run,
    simulator,
    simulator_process,
    start,
    wait_for_runs,
)

from batchrun.base.callback_address import Listen
from batchrun.commands.bug_report import without_key
from batchrun.errors import UsageError
from batchrun.receiver import server
from batchrun.receiver.server import Receiver, receiver_on
from batchrun.runflow.callbacks import SIGNATURE, Ended, signature

SECRET: Final = "whsec_c4n4ry_0123456789"
NEW: Final = "whsec_another_0123456789"
CALLING: Final = ("--speed", "100", "--callback-secret", SECRET)
SPOKEN: Final = {"RUNFLOW_WEBHOOK_SECRET": SECRET}


def manifest(folder: Path, port: int, cells: int = 12) -> Path:
    path = folder / "m.yaml"
    path.write_text(
        "models: [google/nano-banana-2]\n"
        f"inputs: {{prompt: a chair, seed: {{$range: [1, {cells}]}}}}\n"
        "limits: {concurrency: 4, rate: 200/s, settle: 1s}\noutputs: {download: false}\n"
        f'callbacks: {{url: "http://127.0.0.1:{port}/hook", listen: "127.0.0.1:{port}"}}\n'
    )
    return path


@pytest.mark.slow
def test_a_process_takes_the_callbacks_of_another_one(tmp_path: Path) -> None:
    port = free_port()
    manifest(tmp_path, port)
    with (
        mock.patch.dict(os.environ, SPOKEN),
        simulator_process(tmp_path / "state", *CALLING) as url,
    ):
        done = run("m.yaml", "--endpoint", url, "--json", cwd=tmp_path)
        again = run("m.yaml", "--endpoint", url, "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["succeeded"], said["complete"]) == (12, True)
    assert said["callbacks"] > 0  # not each: the last ones may come behind the end
    assert (
        f"callbacks to http://127.0.0.1:{port}/hook are received on 127.0.0.1:{port}" in done.stderr
    )
    assert "callbacks" not in json.loads(again.stdout)
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.slow
def test_a_signal_ends_a_call_that_receives_as_it_ends_any(tmp_path: Path) -> None:
    manifest(tmp_path, free_port())
    with (
        mock.patch.dict(os.environ, SPOKEN),
        simulator_process(tmp_path / "state", "--callback-secret", SECRET, "--speed", "0.1") as url,
        start("m.yaml", "--endpoint", url, cwd=tmp_path) as process,
    ):
        wait_for_runs(url, 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 3, err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("secrets", [f"{NEW},{SECRET}", f"{SECRET} {NEW}"])
def test_while_the_secret_is_being_changed_both_count(tmp_path: Path, secrets: str) -> None:
    manifest(tmp_path, free_port())
    with simulator(tmp_path / "state", *CALLING) as url:
        done = call(
            *("m.yaml", "--endpoint", url, "--json"),
            cwd=tmp_path,
            RUNFLOW_WEBHOOK_SECRET=secrets,
        )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["callbacks"] > 0


@pytest.mark.slow
def test_a_secret_of_ours_is_nowhere_afterwards(tmp_path: Path) -> None:
    """The service signs with another one: all callbacks are refused, and the sweep is done."""
    manifest(tmp_path, free_port())
    with simulator(tmp_path / "state", "--speed", "100", "--callback-secret", NEW) as url:
        done = call("m.yaml", "--endpoint", url, "--verbose", cwd=tmp_path, **SPOKEN)

    assert done.returncode == 0, done.stderr
    assert "none signed by the secret in RUNFLOW_WEBHOOK_SECRET" in done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "state"]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
def test_where_none_comes_that_is_said(tmp_path: Path) -> None:
    """The tunnel leads nowhere."""
    path, here = manifest(tmp_path, free_port()), free_port()
    path.write_text(
        re.sub(r'listen: "127.0.0.1:\d+"', f'listen: "127.0.0.1:{here}"', path.read_text())
    )
    with simulator(tmp_path / "state", *CALLING) as url:
        done = call("m.yaml", "--endpoint", url, cwd=tmp_path, **SPOKEN)

    assert done.returncode == 0, done.stderr
    assert "no callback came for 12 runs" in done.stderr
    assert f"does `callbacks.url` lead to 127.0.0.1:{here}?" in done.stderr


@pytest.mark.slow
def test_with_quiet_nothing_is_said_of_them(tmp_path: Path) -> None:
    manifest(tmp_path, free_port())
    with simulator(tmp_path / "state", *CALLING) as url:
        done = call("m.yaml", "--endpoint", url, "--quiet", cwd=tmp_path, **SPOKEN)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_plan_names_where_they_go(tmp_path: Path) -> None:
    """But for what the environment says: it may be secret. It needs no secret itself."""
    path = manifest(tmp_path, 8787)
    path.write_text(path.read_text().replace("/hook", "/${env:BATCHRUN_HOOK}"))
    with simulator(tmp_path / "state") as url:
        words = ("plan", "m.yaml", "--endpoint", url)
        shown = call(*words, cwd=tmp_path, BATCHRUN_HOOK="hunter2")
        as_json = call(*words, "--json", cwd=tmp_path, BATCHRUN_HOOK="hunter2")

    hook = "http://127.0.0.1:8787/${env:BATCHRUN_HOOK}"
    assert f"callbacks go to {hook}, and are received on 127.0.0.1:8787\n" in shown.stdout
    assert json.loads(as_json.stdout)["plan"]["callbacks"] == {
        "url": hook,
        "listen": "127.0.0.1:8787",
    }


@pytest.mark.slow
def test_the_embedded_simulator_needs_no_secret(tmp_path: Path) -> None:
    path = manifest(tmp_path, free_port())
    path.write_text(
        f"{path.read_text()}endpoint: simulator\nmetadata: {{simulate: {{seconds: 0.2}}}}\n"
    )

    done = call("m.yaml", "--json", cwd=tmp_path, RUNFLOW_WEBHOOK_SECRET="")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["callbacks"] > 0


def test_no_secret_stands_in_the_report_of_a_bug() -> None:
    with mock.patch.dict(os.environ, {"RUNFLOW_WEBHOOK_SECRET": f"{SECRET}, {NEW}"}):
        text = without_key(f"ValueError: {SECRET} and {NEW}")

    assert text == "ValueError: [key] and [key]"


@contextmanager
def refused(folder: Path, **environ: str) -> Iterator[subprocess.CompletedProcess[str]]:
    """Yield a call that is to be refused before anything is sent."""
    with simulator(folder / "state", *CALLING) as url:
        done = call("m.yaml", "--endpoint", url, cwd=folder, **environ)
        made = httpx.get(f"{url}/_simulator/stats").json()["runs"]
    assert (done.returncode, made) == (2, 0), done.stderr
    yield done


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "put the one that Runflow showed (whsec_…) into RUNFLOW_WEBHOOK_SECRET"),
        (" , ", "RUNFLOW_WEBHOOK_SECRET holds no secret"),
        ("short", "RUNFLOW_WEBHOOK_SECRET holds what is no secret"),
        (f"{SECRET},{NEW},{SECRET}1", "RUNFLOW_WEBHOOK_SECRET holds 3 secrets"),
    ],
)
def test_without_a_secret_nothing_is_sent(tmp_path: Path, value: str, said: str) -> None:
    manifest(tmp_path, free_port())

    with refused(tmp_path, RUNFLOW_WEBHOOK_SECRET=value) as done:
        assert said in done.stderr
        assert SECRET not in done.stderr


@pytest.mark.slow
def test_where_the_address_is_taken_nothing_is_sent(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        manifest(tmp_path, port)

        with refused(tmp_path, **SPOKEN) as done:
            assert f"127.0.0.1:{port}" in done.stderr
            assert "set `callbacks.listen`" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_without_the_extra_nothing_is_sent(tmp_path: Path, package: str) -> None:
    manifest(tmp_path, free_port())
    script = f"import sys; sys.modules[{package!r}] = None; from batchrun.cli import entry; entry()"

    done = subprocess.run(
        [sys.executable, "-c", script, "m.yaml", "--endpoint", "http://127.0.0.1:9"],
        cwd=tmp_path,
        env=environment() | SPOKEN,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "pip install 'batchrun[callbacks]'" in done.stderr


# The server alone.


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Served:
    def __init__(self, receiver: Receiver, heard: list[Ended]) -> None:
        self.receiver = receiver
        self.heard = heard
        self.port = int(receiver.said.rpartition(":")[2])

    async def post(self, body: bytes, **more: Any) -> httpx.Response:
        headers = {SIGNATURE: signature(body, SECRET)}
        async with httpx.AsyncClient() as http:
            url = f"http://127.0.0.1:{self.port}/x"
            return await http.post(url, content=body, headers=headers, **more)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    heard: list[Ended] = []
    with receiver_on(Listen("127.0.0.1", 0), [SECRET]) as receiver:
        async with receiver.serving(heard.append):
            yield Served(receiver, heard)


@pytest.mark.slow
async def test_a_callback_comes_over_a_socket_which_is_closed_behind_it() -> None:
    async with served() as here:
        answer = await here.post(b'{"run_id": "r-1", "status": "succeeded"}')

        assert (answer.status_code, answer.headers["connection"]) == (204, "close")
        assert here.heard == [Ended("r-1")]
        assert here.receiver.received == 1


BEGINNINGS: Final = [
    b"",
    b"POST / HTTP/1.1\r\nHo",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
]


@pytest.mark.slow
@pytest.mark.parametrize("sent", BEGINNINGS)
async def test_a_connection_that_brings_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "LONGEST", 0.2)
    ended = anyio.EndOfStream, anyio.BrokenResourceError
    async with served() as here:
        stream = await anyio.connect_tcp("127.0.0.1", here.port)
        async with stream:
            if sent:
                await stream.send(sent)
            with anyio.fail_after(PATIENCE), pytest.raises(ended):
                await stream.receive()

        assert (await here.post(b'{"run_id": "r-1", "status": "failed"}')).status_code == 204


@pytest.mark.slow
async def test_a_flood_of_connections_leaves_files_for_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are closed beyond a number, long before they have lasted too long."""
    monkeypatch.setattr(server, "MOST", 3)
    monkeypatch.setattr(server, "SPARE", 2)
    ends = 0

    async def wait(stream: anyio.abc.SocketStream) -> None:
        nonlocal ends
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.receive()
        ends += 1
        if ends == 15:
            tasks.cancel_scope.cancel()

    async with served() as here, contextlib.AsyncExitStack() as stack:
        monkeypatch.setattr(server, "LONGEST", 10 * PATIENCE)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    stream = await anyio.connect_tcp("127.0.0.1", here.port)
                    tasks.start_soon(wait, await stack.enter_async_context(stream))
        assert ends == 15


@pytest.mark.slow
async def test_more_callbacks_at_once_than_are_taken_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MOST", 1)
    async with served() as here:
        answer = await here.post(b'{"run_id": "r-1", "status": "failed"}')
        assert (answer.status_code, here.heard) == (503, [])


@pytest.mark.slow
async def test_what_isnt_http_is_refused_and_harms_nothing() -> None:
    async with served() as here:
        stream = await anyio.connect_tcp("127.0.0.1", here.port)
        async with stream:
            await stream.send(b"\x16\x03\x01\x02\x00nonsense\r\n\r\n")
            with anyio.fail_after(PATIENCE):
                assert b"400" in await stream.receive()

        assert (await here.post(b'{"run_id": "r-1", "status": "failed"}')).status_code == 204


@pytest.mark.slow
async def test_the_address_is_free_again_afterwards() -> None:
    async with served() as here:
        port = here.port

    with receiver_on(Listen("127.0.0.1", port), [SECRET]) as receiver:
        assert receiver.said == f"127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "x" * 64])
def test_an_address_that_isnt_ours_is_a_mistake(host: str) -> None:
    with (
        pytest.raises(UsageError, match=rf"can't be received on {host}:80.*callbacks\.listen"),
        receiver_on(Listen(host, 80), [SECRET]),
    ):
        pass


@pytest.mark.slow
def test_trio_is_refused_in_words() -> None:
    async def serve() -> None:
        with receiver_on(Listen("127.0.0.1", 0), [SECRET]) as receiver:
            async with receiver.serving(lambda _: None):
                pass

    with pytest.raises(UsageError, match="asyncio only"):
        anyio.run(serve, backend="trio")
