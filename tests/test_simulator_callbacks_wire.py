"""The simulator's callbacks over real sockets, to a small receiver."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Final

import httpx
import pytest
from processes import PATIENCE, simulator_process

from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

PATH: Final = "/v1/models/google/nano-banana-2/runs"
SECRET: Final = "whsec_first"

Came = tuple[dict[str, str], bytes]


class Handler(BaseHTTPRequestHandler):
    """Takes each callback."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        came: Queue[Came] = vars(self.server)["came"]
        came.put((dict(self.headers), body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its base's name)
        pass


@contextmanager
def reserved() -> Iterator[ThreadingHTTPServer]:
    """Yield a receiver that has its port, and refuses connections until it is `listening`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.server_bind()
        yield server


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/hook"


@contextmanager
def listening(server: ThreadingHTTPServer) -> Iterator["Queue[Came]"]:
    """Let the receiver take callbacks; yield those that come."""
    came: Queue[Came] = Queue()
    vars(server)["came"] = came
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield came
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def receiver() -> Iterator[tuple[str, "Queue[Came]"]]:
    """Yield the address of a receiver that takes each callback, and what comes there."""
    with reserved() as server, listening(server) as came:
        yield address(server), came


def test_the_embedded_simulator_calls_back_over_a_socket() -> None:
    settings = Settings(speed=200, callback_secret=SECRET)
    headers = {"Authorization": "Bearer key"}
    with (
        receiver() as (hook, came),
        embedded(None, settings=settings) as url,
        httpx.Client(base_url=url, headers=headers) as http,
    ):
        body = {"input": {"prompt": "a kite"}, "callback_url": hook}
        run = http.post(PATH, json=body).json()
        sent, raw = came.get(timeout=PATIENCE)

        picture = httpx.get(json.loads(raw)["output"]["outputs"][0]["url"])

    assert json.loads(raw)["run_id"] == run["id"]
    assert sent["Runflow-Signature"] == hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert picture.headers["Content-Type"] == "image/png"


def post(url: str, hook: str, **more: object) -> str:
    """Return the id of a new run that calls *hook* back."""
    body = {"input": {"prompt": "a kite"}, "callback_url": hook, **more}
    answer = httpx.post(url + PATH, json=body, headers={"Authorization": "Bearer key"})
    made: str = answer.json()["id"]
    return made


def test_a_simulator_in_its_own_process_signs_what_it_sends(tmp_path: Path) -> None:
    state, options = tmp_path / "state.sqlite", ("--speed", "200", "--callback-secret", SECRET)
    with receiver() as (hook, came), simulator_process(state, *options) as url:
        runs = {post(url, hook) for _ in range(20)}
        calls = [came.get(timeout=PATIENCE) for _ in runs]

    assert {json.loads(raw)["run_id"] for _, raw in calls} == runs
    for headers, raw in calls:
        wanted = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        assert headers["Runflow-Signature"] == wanted
    assert came.empty()


def test_what_was_not_taken_is_sent_by_a_simulator_that_is_started_again(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    with reserved() as server:
        with simulator_process(state) as url:
            run = post(url, address(server), metadata={"simulate": {"seconds": 0}})
            while (counted := stats(url))["attempts"] == 0:
                time.sleep(0.01)
        with listening(server) as came, simulator_process(state):
            _, raw = came.get(timeout=PATIENCE)

    assert (counted["pending"], counted["delivered"]) == (1, 0)
    assert json.loads(raw)["run_id"] == run


def stats(url: str) -> dict[str, int]:
    counted: dict[str, int] = httpx.get(f"{url}/_simulator/stats").json()["callbacks"]
    return counted
