"""The server of the benchmarks answers as the API is documented to, else they measure nothing."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_simulator import schema_of

SOURCE = Path(__file__).parent.parent / "benchmarks" / "instant.py"
ITEMS = [{"prompt": f"p{n}", "client_ref": f"br1.x.{n % 2}"} for n in range(4)]


@pytest.fixture
def state() -> Any:
    spec = importlib.util.spec_from_file_location("instant", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.State()


def ask(state: Any, method: bytes, target: str, shape: str, body: Any = None) -> Any:
    status, content = state.answer(method, target.encode(), json.dumps(body).encode())
    answer = json.loads(content)
    schema = schema_of(shape, method.decode().lower(), status)
    jsonschema.Draft202012Validator(schema).validate(answer)
    return answer


def listed(state: Any, ref: str) -> Any:
    return ask(state, b"GET", f"/v1/runs?limit=500&q=client_ref.EQ:'{ref}'", "/v1/runs")["items"]


def make_batch(state: Any, model: str = "a/b") -> Any:
    body = {"input": ITEMS, "metadata": {"a": 1}}
    target = f"/v1/models/{model}/batches"
    return ask(state, b"POST", target, "/v1/models/{owner}/{slug}/batches", body)


def test_a_run_is_told_of_by_its_id_and_by_its_reference(state: Any) -> None:
    body = {"input": {}, "client_ref": 'a"b', "metadata": {"a": 1}}
    shape = "/v1/models/{owner}/{slug}/runs"
    quoted = ask(state, b"POST", "/v1/models/a/b/runs", shape, body)
    plain = ask(state, b"POST", "/v1/models/a/b/runs", shape, body | {"client_ref": "br1.x.0"})

    run = ask(state, b"GET", f"/v1/runs/{quoted['id']}", "/v1/runs/{run_id}")

    assert (run["client_ref"], run["metadata"], run["batch_id"]) == ('a"b', {"a": 1}, None)
    assert [each["id"] for each in listed(state, "br1.x.0")] == [plain["id"]]


def test_a_batch_is_told_of_by_its_id_and_its_runs_by_their_reference(state: Any) -> None:
    made = make_batch(state)

    batch = ask(state, b"GET", f"/v1/batches/{made['id']}", "/v1/batches/{batch_id}")
    runs = listed(state, "br1.x.1")

    assert (made["status_code"], batch["status_code"]) == ("queued", "succeeded")
    assert batch["metadata"] == {"a": 1}
    assert batch["items_total"] == batch["items_succeeded"] == 4
    assert [each["client_ref"] for each in batch["items"]] == [i["client_ref"] for i in ITEMS]
    assert [each["sequence_index"] for each in batch["items"]] == [0, 1, 2, 3]
    assert [each["id"] for each in runs] == [batch["items"][n]["run_id"] for n in (1, 3)]
    assert {(run["batch_id"], run["metadata"]) for run in runs} == {(made["id"], None)}
    assert {each["status_code"] for each in batch["items"]} == {"succeeded"}


def test_a_model_called_single_takes_no_batches(state: Any) -> None:
    assert make_batch(state, "single/b")["code"] == "UNPROCESSABLE"


@pytest.mark.parametrize("path", ["/v1/runs/x", "/v1/batches/x"])
def test_what_was_not_made_is_404(state: Any, path: str) -> None:
    shape = "/v1/batches/{batch_id}" if "batches" in path else "/v1/runs/{run_id}"

    assert ask(state, b"GET", path, shape)["code"] == "NOT_FOUND"


def test_nobodys_reference_has_no_runs(state: Any) -> None:
    make_batch(state)

    assert listed(state, "br1.y.0") == []
