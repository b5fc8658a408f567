"""Promise 9: the key goes to the endpoint and nowhere else, whatever comes back.

A canary is the key. A service that echoes it in every place and spelling, a redirect that asks for
it, a bug that has it in its message: it must not be found in any file, in any output, or in any
request that goes elsewhere. It is searched for as it is, unquoted, and inside of all base64.
"""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import BATCHRUN, PATIENCE, call, environment

from batchrun.cli import main
from batchrun.runflow.redact import spellings

KEY = "rf_live_c4n4ry+/&=5f0e9c"
ECHO = (
    f"you sent {KEY} {quote(KEY, safe='')} {base64.b64encode(KEY.encode()).decode()} "
    f"{base64.b64encode(f'Bearer {KEY}'.encode()).decode()} "
    f"{base64.urlsafe_b64encode(f'x{KEY}'.encode()).decode()}"
)
MANIFEST = """\
models: [google/nano-banana-2]
inputs: {prompt: [a, b]}
limits: {rate: 50/s, settle: 300ms, give_up: 1s, attempts: 1}
poll: {interval: 100ms}
"""
LOUDNESS = {"default": [], "quiet": ["--quiet"], "verbose": ["--verbose"], "json": ["--json"]}


def is_in(data: bytes, secret: str = KEY) -> bool:
    """Say whether *secret* stands in *data*, in any spelling that a reader could undo."""
    text = data.decode("utf-8", "replace")
    if secret in text or secret in unquote(text) or secret in text.replace("\\/", "/"):
        return True
    for word in re.findall(r"[A-Za-z0-9+/_-]{8,}", text):
        plain = word.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            part = part[:-1] if len(part) % 4 == 1 else part
            if secret.encode() in base64.b64decode(part + "=" * (-len(part) % 4)):
                return True
    return False


@pytest.mark.parametrize("word", ECHO.split()[2:])
def test_the_search_finds_every_spelling_that_is_echoed(word: str) -> None:
    assert is_in(f"<{word}>".encode())


@given(key=st.text("abcXYZ019_-+/&=.", min_size=12), before=st.binary(max_size=5))
def test_no_spelling_of_a_key_survives(key: str, before: bytes) -> None:
    data = before + key.encode() + b"..."
    text = " ".join(
        (key, quote(key), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode())
    )
    for each in spellings(key):
        text = text.replace(each, "*")

    assert not is_in(text.encode(), key)


# A service that echoes the key.


@dataclass
class Echo:
    """An API in which everything that can be, is the key; *mode* says what it does with a POST."""

    mode: str
    elsewhere: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        headers = {"X-Echo": KEY, "Set-Cookie": f"key={quote(KEY)}", "Server": KEY}
        if path.startswith("/v1/auth/me"):
            return 200, {"org_id": "org", "echo": ECHO}, headers
        if self.mode.startswith("redirect"):
            where = f"{self.elsewhere}/there?key={quote(KEY)}"
            return int(self.mode[-3:]), {}, headers | {"Location": where}
        if method == "POST":
            return self.post(body, headers)
        if path.startswith("/v1/runs?"):
            return 200, {"items": self.runs, "next": None}, headers
        if path.startswith("/v1/runs/"):
            found = [run for run in self.runs if run["id"] == path.split("/")[3]]
            return 200, found[0], headers
        return 404, {"code": "NOT_FOUND", "message": ECHO, "errors": None}, headers

    def post(self, body: Any, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        if self.mode.isdecimal():
            refusal = {"code": f"C {KEY}", "message": ECHO, "errors": [{"loc": [KEY], "msg": ECHO}]}
            return int(self.mode), refusal, headers
        if self.mode == "page":
            return 404, f"<html>{ECHO}</html>", headers
        good = self.mode == "succeeded"
        url = f"{self.elsewhere}/file.png?n={len(self.runs)}"
        run = {
            "id": f"run-{len(self.runs)}",
            "status_code": self.mode,
            "client_ref": body["client_ref"],
            "metadata": body["metadata"],
            "output": {"outputs": [{"url": url, "type": "image"}], "echo": ECHO} if good else None,
            "cost": "0.01",
            "failure_code": KEY,
            "failure_message": ECHO,
            "failure_stage_code": ECHO,
            "created_at": "2026-01-01T00:00:00Z",
        }
        self.runs.append(run)
        return 201, run, headers


@dataclass
class Elsewhere:
    """A host that is not the API: redirects once, then has the file."""

    requests: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        if path.startswith("/file"):
            return 302, {}, {"Location": f"/moved{path}"}
        return 200, b"\x89PNG\r\n\x1a\n" + path.encode(), {"Content-Type": "image/png"}


@contextmanager
def serving(service: Echo | Elsewhere) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            service.requests.append((self.requestline, str(self.headers)))
            loaded = json.loads(body) if body else None
            status, answer, headers = service.answer(self.command, self.path, loaded)
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response_only(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = handle_one  # noqa: N815  (the base class's names)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  (likewise)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def begin(folder: Path, words: Sequence[str], **more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*BATCHRUN, *words],
        cwd=folder,
        env=environment() | {"RUNFLOW_API_KEY": KEY} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def written(folder: Path) -> Iterator[bytes]:
    """Yield the name and the content of every file in *folder*."""
    for path in folder.rglob("*"):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.read_bytes()


MODES = {
    "401": 4,
    "402": 5,
    "422": 1,
    "409": 3,
    "500": 8,
    "page": 8,
    "failed": 1,
    "succeeded": 0,
    "redirect 302": 8,
    "redirect 307": 8,
}


Calls = Mapping[str, Sequence[str]]
Ended = Mapping[str, tuple[int, bytes]]
"""The exit code of each call, and all that it wrote to its streams."""


def called(folder: Path, calls: Calls) -> Ended:
    """Call the command in this process, once after the other."""
    ended = {}
    for name, words in calls.items():
        done = call(*words, cwd=folder, RUNFLOW_API_KEY=KEY)
        ended[name] = done.returncode, (done.stdout + done.stderr).encode()
    return ended


def run_apart(folder: Path, calls: Calls) -> Ended:
    """Run each call in a process of its own, all of them at once."""
    processes = {name: begin(folder, words) for name, words in calls.items()}
    said = {name: each.communicate(timeout=PATIENCE) for name, each in processes.items()}
    return {name: (each.returncode, b"".join(said[name])) for name, each in processes.items()}


def apart(name: str) -> list[str]:
    """Return the options that make a call's sweep and folder its own."""
    return ["--outputs", f"out-{name}", "--label", name]


def assert_no_trace(folder: Path, mode: str, end: Callable[[Path, Calls], Ended]) -> None:
    """Run a sweep at each loudness that matters in *mode*, and look for the key everywhere."""
    (folder / "m.yaml").write_text(MANIFEST)
    service, other = Echo(mode), Elsewhere()
    with serving(other) as elsewhere, serving(service) as url:
        service.elsewhere = elsewhere
        calls = {
            name: ["m.yaml", "--endpoint", url, *apart(name), *loudness]
            for name, loudness in LOUDNESS.items()
            if mode in {"failed", "succeeded", "422"} or name in {"verbose", "json"}
        }
        ended = end(folder, calls)

    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(calls, MODES[mode])
    assert all(KEY in headers for _, headers in service.requests), "the endpoint got the key"
    spoken = [text for name, (code, text) in ended.items() if code or name != "quiet"]
    assert all(spoken), "a call whose words are missing shows nothing"
    assert not [text for _, text in ended.values() if is_in(text)]
    assert not [data for data in written(folder) if is_in(data)]
    assert not [told for pair in other.requests for told in pair if is_in(told.encode())]
    assert not [headers for _, headers in other.requests if "uthorization" in headers]
    assert bool(other.requests) == (mode == "succeeded"), "a redirect of the API was followed"


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_service_that_echoes_the_key_leaves_no_trace_of_it(tmp_path: Path, mode: str) -> None:
    assert_no_trace(tmp_path, mode, called)


@pytest.mark.slow
def test_a_process_of_its_own_leaves_no_trace_of_the_key_either(tmp_path: Path) -> None:
    assert_no_trace(tmp_path, "succeeded", run_apart)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["failed", "succeeded"])
def test_no_other_command_leaves_a_trace_of_the_key_either(tmp_path: Path, mode: str) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    service, other = Echo(mode), Elsewhere()
    with serving(other) as elsewhere, serving(service) as url:
        service.elsewhere = elsewhere
        first = {
            "run": ["m.yaml"],
            "plan": ["plan", "m.yaml"],
            "status": ["status", "m.yaml"],
            "status as JSON": ["status", "m.yaml", "--json"],
        }
        second = {
            "lost": ["m.yaml"],
            "recover": ["recover", "m.yaml", "--json"],
            "status again": ["status", "m.yaml"],
        }
        at = ("--endpoint", url)
        before = called(tmp_path, {name: [*words, *at] for name, words in first.items()})
        next(tmp_path.rglob("ledger.jsonl")).unlink()
        after = called(tmp_path, {name: [*words, *at] for name, words in second.items()})
    ended = {**before, **after}

    assert {name: code for name, (code, _) in ended.items()} == {
        "run": MODES[mode],
        "plan": 0,
        "status": 0,
        "status as JSON": 0,
        "lost": 9,
        "recover": 0,
        "status again": 0,
    }, ended
    spoken = [text for name, (_, text) in ended.items() if "quiet" not in name]
    assert all(spoken), "a call whose words are missing shows nothing"
    assert not [name for name, (_, text) in ended.items() if is_in(text)]
    assert not [data for data in written(tmp_path) if is_in(data)]
    assert not [told for pair in other.requests for told in pair if is_in(told.encode())]


BREAK = """\
import base64, os
from urllib.parse import quote
import batchrun.runflow.wire as wire

def broken(body):
    key = os.environ["RUNFLOW_API_KEY"]
    try:
        raise KeyError(f"Bearer {key}")
    except KeyError as error:
        coded = base64.b64encode(f"Bearer {key}".encode()).decode()
        raise RuntimeError(f"{key} {quote(key, safe='')} {coded} {error!r}") from error

wire.parse_run = broken
"""


@pytest.mark.slow
def test_a_bug_that_holds_the_key_in_its_message_is_written_down_without_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(BREAK)
    (tmp_path / "logs").mkdir()
    with serving(Echo("succeeded")) as url:
        calls = [
            begin(
                tmp_path,
                ["m.yaml", "--endpoint", url, *apart(name), *told],
                PYTHONPATH=os.pathsep.join([str(patch), str(Path(__file__).parent.parent)]),
                TMPDIR=str(tmp_path / "logs"),
            )
            for name, told in LOUDNESS.items()
        ]
        said = [call.communicate(timeout=PATIENCE) for call in calls]

    assert [call.returncode for call in calls] == [70] * len(calls), said
    logs = [path.read_bytes() for path in (tmp_path / "logs").glob("batchrun-bug-*.log")]
    assert len(logs) == len(calls)
    assert all(b"RuntimeError" in log and b"[key]" in log for log in logs)
    assert not [text for pair in said for text in pair if is_in(text) or b"Traceback" in text]
    assert not [data for data in written(tmp_path / "logs") if is_in(data)]
    outputs = [path for path in tmp_path.iterdir() if path.name.startswith("out-")]
    assert len(outputs) == len(calls)
    assert not [data for path in outputs for data in written(path) if is_in(data)]


# A password in the endpoint.

PASSWORD = "c4n4ry-passw0rd"
ENDPOINTS = (
    f"https://user:{PASSWORD}@api.runflow.io",
    f"https://{PASSWORD}@api.runflow.io",
    f"http://user:{PASSWORD}@127.0.0.1:9",
    f"https://user:{PASSWORD}@[::1",
    f"https://user:{PASSWORD}@host:99999",
    f"https://user:{PASSWORD}@x@api.runflow.io",
    f"https://x@user:{PASSWORD}@api.runflow.io",
    f"https://user:/{PASSWORD}@api.runflow.io",
    f"https://user:x y{PASSWORD}@api.runflow.io",
    f"user:{PASSWORD}@api.runflow.io",
    f"https:/user:{PASSWORD}@api.runflow.io",
    f"https://u{PASSWORD}:{quote(PASSWORD)}@api.runflow.io/?key={PASSWORD}",
)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("place", ["flag", "environment", "manifest"])
@pytest.mark.parametrize("command", [["run"], ["run", "--json", "--verbose"], ["plan"], ["status"]])
def test_a_password_in_the_endpoint_is_refused_and_shown_nowhere(
    endpoint: str,
    place: str,
    command: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", KEY)
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST + (f'endpoint: "{endpoint}"\n' if place == "manifest" else ""))
    words = [command[0], str(manifest), *command[1:]]
    if place == "flag":
        words += ["--endpoint", endpoint]
    elif place == "environment":
        monkeypatch.setenv("RUNFLOW_API_URL", endpoint)

    assert main(words) == 2

    shown = capsys.readouterr()
    assert "endpoint" in shown.err or "RUNFLOW_API_URL" in shown.err
    assert not is_in((shown.out + shown.err).encode(), PASSWORD)
    assert list(tmp_path.iterdir()) == [manifest]


@pytest.mark.parametrize(
    "endpoint", ["http://api.runflow.io", "http://10.0.0.1", "http://localhost.evil.example"]
)
def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(
    endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", KEY)
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST)

    assert main([str(manifest), "--endpoint", endpoint]) == 2

    assert "https" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [manifest]


def test_a_manifest_cannot_ask_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", KEY)
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MANIFEST.replace("[a, b]", '"${env:RUNFLOW_API_KEY}"'))

    assert main([str(manifest), "--endpoint", "simulator", "--json"]) == 2

    shown = capsys.readouterr()
    assert not is_in((shown.out + shown.err).encode())


def test_these_tests_would_see_a_key_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['RUNFLOW_API_KEY'])"],
        env=environment() | {"RUNFLOW_API_KEY": KEY},
        check=True,
        capture_output=True,
    )

    assert is_in(done.stdout)
