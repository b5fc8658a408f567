"""The simulator's callbacks over real sockets, to a small receiver."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Final

import httpx
import pytest

from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

PATH: Final = "/v1/models/google/nano-banana-2/runs"
SECRET: Final = "whsec_first"
PATIENCE: Final = 120.0

Came = tuple[dict[str, str], bytes]


@contextmanager
def receiver() -> Iterator[tuple[str, "Queue[Came]"]]:
    """Yield the address of a receiver that takes each callback, and what came there."""
    came: Queue[Came] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            came.put((dict(self.headers), body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", came
        finally:
            server.shutdown()
            thread.join()


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
