"""Requests that no client means to send: each gets an answer of the API, and never a 500."""

import json
from collections.abc import Iterator
from typing import Any, Final

import documented_fields as documented
import pytest
from documented_fields import differs
from test_simulator_batches import Service

from batchrun.simulator.paging import cursor

PHOTO: Final = "https://images.example/1.png"
DYVER: Final = "/v1/models/runflow/dyver-removal/runs"
LISTS: Final = (
    *("/v1/runs", "/v1/runs/any/logs", "/v1/runs/any/node-runs", "/v1/runs/RUN/logs"),
    *("/v1/batches/BATCH/items", "/v1/batches", "/v1/models", "/v1/public/models"),
    "/v1/comfyui-workflows/runflow-access/brand-locked-variant-nux/runs",
)
BODIES: Final = {
    "half of a pair": b'{"reason": "\\ud800abc", "client_ref": "\\uD800", "label": "\\ud800"}',
    "a list": b"[]",
    "no JSON": b"nope",
    "no text": b"\xff\xfe",
    "empty": b"",
    "nested deep": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
}
POSTS: Final = (
    *(DYVER, "/v1/models/runflow/dyver-removal/batches", "/v1/admin/runs/RUN/cancellation"),
    *("/v1/asset-uploads", "/v1/callback-secrets"),
)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(None, assumed=True)
    yield made
    made.world.store.close()


def placed(service: Service, path: str) -> str:
    body = {"input": {"image_url": PHOTO, "config": {}}}
    run = service.ask("POST", DYVER, json=body).json()["id"]
    return path.replace("RUN", run).replace("BATCH", service.post(1).json()["id"])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "params",
    [
        {"pq": cursor((10**30, 0))},
        {"pq": cursor((-(10**30), 10**40))},
        {"pq": cursor((True, 0))},
        {"pq": "WzFd"},
        {"q": "NOT " * 2000 + "id:1"},
        {"q": "(" * 3000 + "id:1" + ")" * 3000},
        {"q": "id:1 OR " * 3000 + "id:1"},
        {"q": "id:'"},
        {"sort_by": ":"},
        {"limit": "\u0663"},
    ],
    ids=lambda params: str(params)[:20],
)
def test_an_odd_list_is_a_bad_request(service: Service, path: str, params: Any) -> None:
    answer = service.get(placed(service, path), **params)

    assert answer.status_code == 400
    assert differs(answer.json(), documented.ERROR) == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BODIES)
def test_an_odd_body_is_refused(service: Service, path: str, body: str) -> None:
    answer = service.ask("POST", placed(service, path), content=BODIES[body])

    if body == "empty" and path.endswith("cancellation"):
        assert answer.status_code == 201, "that body is optional"
    else:
        assert answer.status_code in {400, 422}
        assert differs(answer.json(), documented.ERROR) == []


@pytest.mark.parametrize("value", ["1e400", "-0", "1" * 5000, " 5 ", {}, True, 10**400, "1_0"])
def test_an_odd_threshold_is_refused(service: Service, value: Any) -> None:
    content = json.dumps({"low_balance_threshold": value}).encode()

    assert service.ask("PATCH", "/v1/billing/balance", content=content).status_code == 422


@pytest.mark.parametrize("elements", [None, 7, "x", [], [{}, [1], None], ["nothing"]])
def test_odd_elements_choose_all_stages(service: Service, elements: Any) -> None:
    body = {"input": {"image_url": PHOTO, "config": {"elements": elements}}}
    run = service.ask("POST", DYVER, json=body).json()

    assert run["nodes_total"] == 6


@pytest.mark.parametrize(
    "path",
    [
        "/assets/x",
        "/assets/x?expires=1&signature=x",
        "/assets/x?expires=" + "9" * 5000 + "&signature=x",
        "/assets/x?expires=99999999999&signature=%C3%A9",
        "/files/x/y?expires=%C2%B2&signature=x",
    ],
)
def test_an_odd_signature_is_denied(service: Service, path: str) -> None:
    assert service.get(path).status_code == 403
