"""Every route of the API's description is served, or the page says that it isn't."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import documented_fields as documented
import httpx
import pytest
from documented_fields import differs
from test_simulator import API, check
from test_simulator_batches import Service

from batchrun.simulator.callback_making import CallbackMaking
from batchrun.simulator.models import MODELS

PAGE: Final = Path(__file__).parent.parent / "docs" / "simulator.md"
ROUTES: Final = [
    (method, path, route.get("x-certainty"))
    for path, methods in API["paths"].items()
    for method, route in methods.items()
    if method in {"get", "post", "patch", "put", "delete"}
]
ASSUMED: Final = {path for _, path, certainty in ROUTES if certainty == "assumed"}
BESIDE: Final = [
    ("get", "/v1/models/{model_id}/inputs/{id}"),
    ("get", "/v1/models/{model_id}/examples/{id}"),
    ("get", "/v1/model-creators/{id}"),
    ("get", "/v1/assets/types"),
    ("get", "/v1/runs/{run_id}/node-runs/{id}"),
    ("get", "/v1/credit-balances"),
    ("patch", "/v1/billing/balance"),
    ("patch", "/v1/callback-secrets/{id}"),
]
"""Routes of the fact sheet that the description leaves out."""

WORKFLOW: Final = "runflow-access/brand-locked-variant-nux"
DYVER: Final = "/v1/models/runflow/dyver-removal/runs"
PHOTO: Final = "https://images.example/1.png"
ELEMENTS: Final = ["tag_removal", "background_removal"]

Serve = Callable[..., Service]


def create(service: Service, path: str = DYVER, **values: Any) -> Any:
    given = values or {"image_url": PHOTO, "config": {"elements": ELEMENTS}}
    made = service.ask("POST", path, json={"input": given, "client_ref": "w"})
    assert made.status_code == 201, made.text
    return made.json()


def items(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert differs(page, documented.PAGE) == []
    found: list[Any] = page["items"]
    return found


# -- the table ------------------------------------------------------------------------------


def served(service: Service, method: str, path: str, **body: Any) -> bool:
    """Say whether the router knows the route; whatever else it answers, it was asked."""
    place = re.sub(r"\{(owner|model_id)\}", "runflow", path).replace("{slug}", "tag-removal")
    answer = service.ask(method.upper(), re.sub(r"\{\w+\}", "x", place), **body)
    return answer.status_code != 405 and answer.json().get("code") != "NOT_FOUND"


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES] + BESIDE)
def test_every_documented_route_is_served(serve: Serve, method: str, path: str) -> None:
    assert served(serve(assumed=True), method, path)


@pytest.mark.parametrize("path", sorted(ASSUMED))
def test_a_route_that_no_document_names_is_served_on_request_only(serve: Serve, path: str) -> None:
    assert len(ASSUMED) == 2
    assert not any(
        served(serve(), method, path) for method in ("get", "post") if method in API["paths"][path]
    )


def rows_of_the_page() -> Mapping[str, bool]:
    """Return the routes in the table of the page, `METHOD path`, and whether each is served."""
    rows = re.findall(r"^\| (.+) \| (yes|on request|no)\b", PAGE.read_text("utf-8"), re.MULTILINE)
    return {
        f"{method} {_plain(path)}": word != "no"
        for cell, word in rows
        for method, path in re.findall(r"`([A-Z]+) (/\S+)`", cell)
    }


def _plain(path: str) -> str:
    return re.sub(r"\{owner\}/\{slug\}|\{\w+\}|MODEL|ID|CODE", "*", path)


def test_the_page_names_every_route(serve: Serve) -> None:
    named = rows_of_the_page()
    known = {f"{method.upper()} {_plain(path)}" for method, path, *_ in [*ROUTES, *BESIDE]}

    assert known - named.keys() == set()
    assert {route for route in known if not named[route]} == set()


def test_what_the_page_says_is_not_served_is_not(serve: Serve) -> None:
    service = serve(assumed=True)
    absent = [route.split(" ") for route, there in rows_of_the_page().items() if not there]

    assert absent
    for method, path in absent:
        assert not served(service, method, path.replace("*", "x")), (method, path)


# -- models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_model_shows_all_documented_fields(serve: Serve, model: str) -> None:
    service = serve()
    shown = service.get(f"/v1/models/{model}").json()
    example = service.get(f"/v1/models/any/examples/{shown['id']}").json()

    assert differs(shown, documented.MODEL) == []
    for each in shown["inputs"]:
        assert differs(each, documented.MODEL_INPUT) == []
        for name in ("any", shown["id"], model):
            assert service.get(f"/v1/models/{name}/inputs/{each['id']}").json() == each
    assert differs(example, documented.EXAMPLE) == []
    kind = "comfyui-workflows" if MODELS[model].workflow else "models"
    create(service, f"/v1/{kind}/{model}/runs", **example["input"], seed=1)


def test_what_belongs_to_another_model_is_404(serve: Serve) -> None:
    service = serve()
    [given, *_] = service.get("/v1/models/runflow/tag-removal").json()["inputs"]

    for name in ("runflow/smart-resize", "nothing"):
        assert service.get(f"/v1/models/{name}/inputs/{given['id']}").status_code == 404
    assert service.get("/v1/models/any/examples/nothing").status_code == 404


def test_a_model_s_creator_can_be_read(serve: Serve) -> None:
    service = serve()
    model = service.get("/v1/models/openai/gpt-image-2").json()

    creator = service.get(f"/v1/model-creators/{model['model_creator_id']}").json()

    assert (creator["slug"], creator["name"]) == ("openai", "OpenAI")


def test_the_files_of_examples_are_there(serve: Serve) -> None:
    service = serve()
    model = service.get("/v1/models/runflow/smart-resize").json()
    example = service.get(f"/v1/models/any/examples/{model['id']}").json()

    for url in (example["input"]["image_url"], example["output"]["outputs"][0]["url"]):
        assert service.get(url).headers["Content-Type"] == "image/png"


# -- workflows ------------------------------------------------------------------------------


def test_a_workflow_lists_its_own_runs_alone(serve: Serve) -> None:
    service = serve()
    path = f"/v1/comfyui-workflows/{WORKFLOW}/runs"
    made = [create(service, path, **{"prompt": "a shoe", "Aux Reference 1": PHOTO})["id"]]
    made.append(create(service, f"/v1/models/{WORKFLOW}/runs", prompt="a boot")["id"])
    create(service)

    listed = items(service.get(path))
    first = service.get(path, limit=1).json()
    then = service.get(path, limit=1, pq=first["next"]).json()

    assert [run["id"] for run in listed] == made[::-1]
    assert [run["id"] for run in first["items"] + then["items"]] == made[::-1]
    assert {run["target_type"] for run in listed} == {"comfyui_workflow"}
    assert all(run["comfyui_workflow_id"] and not run["model_id"] for run in listed)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_model_is_no_workflow(serve: Serve, method: str) -> None:
    answer = serve().ask(method, "/v1/comfyui-workflows/runflow/skin-fix/runs", json={"input": {}})

    assert answer.status_code == 404
    assert answer.json()["code"] == "COMFYUI_WORKFLOW_NOT_FOUND"


# -- the account ----------------------------------------------------------------------------


def test_the_balance_is_read_in_every_spelling(serve: Serve) -> None:
    service = serve(balance=Decimal("12.5"))

    whole = service.get("/v1/billing/balance").json()
    [listed] = items(service.get("/v1/credit-balances"))

    assert differs(whole, documented.BALANCE) == []
    assert (whole["balance"], whole["balance_cents"], whole["currency"]) == ("12.5", 1250, "USD")
    assert (listed["balance_usd"], listed["balance"]) == ("12.5", "12.5")


def test_the_threshold_of_the_balance_can_be_set(serve: Serve) -> None:
    service = serve(balance=Decimal(2))
    path = "/v1/billing/balance"

    answer = service.ask("PATCH", path, json={"low_balance_threshold": "5.00"})
    refused = [
        service.ask("PATCH", path, json={"low_balance_threshold": value}).status_code
        for value in ("much", -1, True, "NaN")
    ]
    create(service)

    assert (answer.status_code, answer.json()["low_balance_threshold"]) == (200, "5.00")
    assert refused == [422] * 4
    assert service.get(path).json()["low_balance_threshold"] == "5.00"
    service.ask("PATCH", path, json={"low_balance_threshold": None})
    assert service.get(path).json()["low_balance_threshold"] is None


def test_the_statuses_are_those_that_runs_have(serve: Serve) -> None:
    found = items(serve().get("/v1/runs/statuses"))

    assert {each["code"] for each in found if each["is_terminal"]} == {
        *("succeeded", "partial_succeeded", "failed", "canceled")
    }
    assert all(each["name"] and each["description"] for each in found)


# -- cancellations --------------------------------------------------------------------------


def cancel(service: Service, run_id: str, body: Any = None) -> httpx.Response:
    path = f"/v1/admin/runs/{run_id}/cancellation"
    answer = service.ask("POST", path, **({} if body is None else {"json": body}))
    if answer.status_code != 422:
        check(answer, "/v1/admin/runs/{run_id}/cancellation", "post")
    return answer


def test_an_administrator_cancels_a_run_once(serve: Serve) -> None:
    service = serve()
    run = create(service)
    service.later(1.5)

    first, again = cancel(service, run["id"], {"reason": "not now"}), cancel(service, run["id"])
    service.later()
    then = service.get(f"/v1/runs/{run['id']}").json()
    lines = items(service.get(f"/v1/runs/{run['id']}/logs"))

    assert (first.status_code, first.json()["status_code"]) == (201, "canceled")
    assert (again.status_code, again.json()) == (200, first.json())
    assert then["status_code"] == "canceled"
    assert then["completed_at"] == first.json()["completed_at"]
    assert then["output"] is None
    assert lines[-1]["message"] == "ended: canceled by an administrator: not now"


def test_a_cancelled_run_keeps_the_nodes_it_had_completed(serve: Serve) -> None:
    service = serve()
    run = before = create(service)
    while before["nodes_completed"] < 2:
        service.later(0.1)
        before = service.get(f"/v1/runs/{run['id']}").json()

    after = cancel(service, run["id"]).json()
    nodes = items(service.get(f"/v1/runs/{run['id']}/node-runs"))

    assert after["nodes_completed"] == before["nodes_completed"] == 2
    assert [node["state_code"] for node in nodes] == [
        "succeeded",
        "succeeded",
        "canceled",
        "skipped",
    ]
    costs = [Decimal(node["cost"]) for node in nodes if node["cost"] is not None]
    assert sum(costs) == Decimal(after["cost"])


def test_a_run_that_is_cancelled_before_it_begins_costs_nothing(serve: Serve) -> None:
    service = serve(balance=Decimal("0.25"))
    run = create(service)
    done = cancel(service, run["id"]).json()
    service.later()
    after = service.get(f"/v1/runs/{run['id']}").json()

    assert (after["status_code"], after["cost"], after["started_at"]) == ("canceled", None, None)
    assert after["duration_ms"] == 0
    assert done["completed_at"] == after["completed_at"]
    assert service.get("/v1/billing/balance").json()["balance"] == "0.25"
    for _ in range(2):
        create(service)  # what was held for it is there again


def test_what_is_cancelled_calls_back_at_once(serve: Serve) -> None:
    service = serve(assumed=True)
    hook = "https://me.example/"
    body = {"input": {"image_url": PHOTO}, "callback_url": hook}
    run = service.ask("POST", "/v1/models/runflow/skin-fix/runs", json=body).json()
    batch = service.post(2, callback_url=hook).json()
    cancel(service, run["id"])
    service.ask("POST", f"/v1/batches/{batch['id']}/cancellation")

    CallbackMaking(service.world).make(service.world.now(), "http://simulator")
    [of_run] = service.get(f"/v1/runs/{run['id']}/callback").json()
    [of_batch] = service.get(f"/v1/batches/{batch['id']}/callback").json()

    assert differs(of_run, documented.RUN_DELIVERY) == []
    assert differs(of_run["payload"], documented.RUN_CALLBACK) == []
    assert differs(of_batch["payload"], documented.BATCH_CALLBACK) == []
    assert differs(of_batch["payload"]["output"], documented.BATCH_CALLBACK_OUTPUT) == []
    assert of_run["payload"]["event"] == "run.cancelled"
    assert of_batch["payload"]["event"] == "batch.cancelled"


@pytest.mark.parametrize("reason", ["no", "x" * 501, 7])
def test_a_reason_has_three_to_five_hundred_characters(serve: Serve, reason: Any) -> None:
    service = serve()
    run = create(service)

    assert cancel(service, run["id"], {"reason": reason}).status_code == 422
    assert service.get(f"/v1/runs/{run['id']}").json()["status_code"] == "queued"


def test_a_run_of_another_cannot_be_cancelled(serve: Serve) -> None:
    service = serve(faults=["forbidden@2/cancel"])
    run = create(service)

    assert cancel(service, "nothing").status_code == 404
    assert cancel(service, run["id"]).status_code == 403


def test_a_batch_is_cancelled_where_that_is_asked_for(serve: Serve) -> None:
    service = serve(assumed=True)
    batch = service.post(3).json()
    service.later(0.01)

    ended = check(
        service.ask("POST", f"/v1/batches/{batch['id']}/cancellation"),
        "/v1/batches/{batch_id}/cancellation",
        "post",
    )
    [listed] = check(service.get("/v1/batches"), "/v1/batches")["items"]

    assert (ended["status_code"], ended["items_cancelled"]) == ("canceled", 3)
    assert ended["completed_at"] is not None
    assert listed == service.get(f"/v1/batches/{batch['id']}").json()


# -- batches --------------------------------------------------------------------------------


def test_the_answer_to_a_batch_says_that_all_of_it_is_queued(serve: Serve) -> None:
    service = serve(speed=1e9)

    made = service.post([{"image_url": PHOTO}, {"image_url": "no URL"}]).json()
    then = service.get(f"/v1/batches/{made['id']}").json()

    assert differs(made, documented.BATCH_CREATED) == []
    assert made["status_code"] == "queued"
    assert {each["status_code"] for each in made["items"]} == {"queued"}
    assert (made["started_at"], made["completed_at"], made["cost"]) == (None, None, None)
    assert then["items_failed"] == 1


def test_batches_show_all_documented_fields(serve: Serve) -> None:
    service = serve()
    path = f"/v1/batches/{service.post([{'image_url': PHOTO}, {}]).json()['id']}"
    for _ in range(2):
        whole = service.get(path).json()
        assert differs(whole, documented.BATCH) == []
        for each in whole["items"]:
            assert differs(each, documented.BATCH_HANDLE) == []
        for each in items(service.get(f"{path}/items")):
            assert differs(each, documented.BATCH_ITEM) == []
            assert differs(each["run"], documented.RUN) == []
        service.later()


def test_statuses_of_deliveries_and_secrets_have_all_documented_fields(serve: Serve) -> None:
    service = serve()
    secret = service.ask("POST", "/v1/callback-secrets", json={"label": "one"}).json()
    batch = service.post(1, callback_url="https://me.example/").json()
    service.later()

    delivery = service.ask("POST", f"/v1/batches/{batch['id']}/callback-redeliveries").json()

    assert differs(secret, documented.SECRET) == []
    assert differs(delivery, documented.BATCH_DELIVERY) == []
    assert json.loads(delivery["payload_bytes"]) == delivery["payload"]
