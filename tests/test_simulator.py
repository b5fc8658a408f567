"""The simulator against the API's description: every answer it gives must be one of its shapes."""

import copy
import io
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from PIL import Image

from batchrun.simulator.faults import parse_fault
from batchrun.simulator.models import MODELS
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

pytestmark = pytest.mark.slow

API: Any = yaml.safe_load(
    (Path(__file__).parent / "data" / "runflow-openapi.yaml").read_text(encoding="utf-8")
)
INPUT = {"prompt": "a red kite", "aspect_ratio": "16:9", "seed": 3}
PATH = "/v1/models/google/nano-banana-2/runs"


def schema_of(path: str, method: str, status: int) -> Any:
    """Return the JSON schema of an answer, its references kept within the document."""
    answer = API["paths"][path][method]["responses"][str(status)]
    if "$ref" in answer:
        answer = API["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schema = copy.deepcopy(answer["content"]["application/json"]["schema"])
    return {**schema, "components": API["components"]}


def check(answer: httpx.Response, path: str, method: str = "get") -> Any:
    body = answer.json()
    jsonschema.Draft202012Validator(schema_of(path, method, answer.status_code)).validate(body)
    return body


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(speed=100.0)
    with (
        embedded(tmp_path / "state.sqlite", settings=settings) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer key"}) as http,
    ):
        yield http


def create(client: httpx.Client, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(PATH, json={"input": INPUT, **more}, headers=headers)


def test_every_answer_has_the_documented_shape(client: httpx.Client) -> None:
    run = check(create(client, client_ref="w'1"), "/v1/models/{owner}/{slug}/runs", "post")
    time.sleep(0.1)

    check(client.get(f"/v1/runs/{run['id']}"), "/v1/runs/{run_id}")
    check(client.get("/v1/runs"), "/v1/runs")
    check(client.get("/v1/runs", params={"fields": "id,status_code", "limit": 1}), "/v1/runs")
    check(client.get("/v1/runs/statuses"), "/v1/runs/statuses")
    check(client.get(f"/v1/runs/{run['id']}/logs"), "/v1/runs/{run_id}/logs")
    check(client.get(f"/v1/runs/{run['id']}/node-runs"), "/v1/runs/{run_id}/node-runs")
    check(client.get("/v1/models", params={"limit": 5}), "/v1/models")
    check(client.get("/v1/public/models"), "/v1/public/models")
    check(client.get("/v1/models/google/nano-banana-2"), "/v1/models/{owner}/{slug}")
    check(client.get("/v1/billing/balance"), "/v1/billing/balance")
    check(client.get("/v1/auth/me"), "/v1/auth/me")
    check(client.get("/v1/health"), "/v1/health")

    wanted = {"filename": "a.png", "mime_type": "image/png", "size_bytes": 3}
    place = check(client.post("/v1/asset-uploads", json=wanted), "/v1/asset-uploads", "post")
    refused = client.post("/v1/asset-uploads", json=wanted | {"size_bytes": 0})
    check(refused, "/v1/asset-uploads", "post")
    confirmations = "/v1/asset-uploads/{asset_upload_id}/confirmations"
    confirmation = confirmations.format(asset_upload_id=place["asset_id"])
    check(client.post(confirmation, json={}), confirmations, "post")
    put = httpx.put(place["upload_url"], content=b"abc", headers={"Content-Type": "image/png"})
    assert put.status_code == 200
    check(client.post(confirmation, json={}), confirmations, "post")
    check(client.get(f"/v1/assets/{place['asset_id']}"), "/v1/assets/{asset_id}")
    check(client.get("/v1/readiness"), "/v1/readiness")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH, {"input": {}}, 422),
        (PATH, {"input": {"prompt": "a red kite", "aspect_ratio": "7:7"}}, 422),
        (PATH, {"input": [1]}, 422),
        ("/v1/models/nobody/nothing/runs", {"input": INPUT}, 404),
        (PATH, [1], 400),
    ],
)
def test_a_refusal_comes_in_the_documented_envelope(
    client: httpx.Client, path: str, body: Any, status: int
) -> None:
    answer = client.post(path, json=body)

    assert answer.status_code == status
    check(answer, "/v1/models/{owner}/{slug}/runs", "post")


def test_without_a_key_there_is_only_401(client: httpx.Client) -> None:
    answer = client.get("/v1/runs", headers={"Authorization": ""})

    assert answer.status_code == 401
    check(answer, "/v1/runs")


def test_a_run_ends_with_a_picture_in_the_ratio_asked_for(client: httpx.Client) -> None:
    run = create(client).json()
    time.sleep(0.1)
    ended = client.get(f"/v1/runs/{run['id']}").json()
    [file] = ended["output"]["outputs"]

    answer = httpx.get(file["url"])
    picture = Image.open(io.BytesIO(answer.content))

    assert (ended["status_code"], ended["cost"]) == ("succeeded", "0.08")
    assert answer.headers["Content-Type"] == "image/png"
    assert picture.size == (file["width"], file["height"]) == (512, 288)
    assert httpx.get(file["url"].replace("signature=", "signature=0")).status_code == 403


def test_the_same_key_replays_and_another_body_conflicts(client: httpx.Client) -> None:
    first, again = create(client, "k"), create(client, "k")
    other = create(client, "k", client_ref="x")

    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409
    assert len(client.get("/v1/runs").json()["items"]) == 1


@pytest.mark.parametrize("q", ["client_ref.EQ:'b'", "client_ref.eq:'b'", "client_ref:b"])
def test_the_list_filters_by_reference_in_every_spelling(client: httpx.Client, q: str) -> None:
    for reference in ("a", "b", "b"):
        create(client, client_ref=reference)

    items = client.get("/v1/runs", params={"q": q}).json()["items"]

    assert [item["client_ref"] for item in items] == ["b", "b"]


def test_pages_show_every_run_once(client: httpx.Client) -> None:
    made = {create(client).json()["id"] for _ in range(7)}
    seen: list[str] = []
    cursor = None
    while True:
        params: dict[str, Any] = {"limit": 3, "sort_by": "created_at:asc"}
        params |= {"pq": cursor} if cursor else {}
        page = client.get("/v1/runs", params=params).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert len(seen) == 7
    assert set(seen) == made


def test_runs_survive_the_process_that_made_them(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    header = {"Authorization": "Bearer key"}
    with embedded(state) as url:
        run = httpx.post(url + PATH, json={"input": INPUT}, headers=header).json()

    with embedded(state) as url:
        again = httpx.get(f"{url}/v1/runs/{run['id']}", headers=header)

    assert again.json()["created_at"] == run["created_at"]


def test_a_lost_answer_is_committed(tmp_path: Path) -> None:
    settings = Settings(faults=(parse_fault("lost_answer@1"),))
    header = {"Authorization": "Bearer key"}
    with embedded(tmp_path / "state.sqlite", settings=settings) as url:
        with pytest.raises(httpx.TransportError):
            httpx.post(url + PATH, json={"input": INPUT}, headers=header)
        items = httpx.get(f"{url}/v1/runs", headers=header).json()["items"]

    assert len(items) == 1


def test_out_of_credit_creates_nothing(tmp_path: Path) -> None:

    settings = Settings(balance=Decimal("0.10"))
    header = {"Authorization": "Bearer key"}
    with embedded(tmp_path / "state.sqlite", settings=settings) as url:
        codes = [
            httpx.post(url + PATH, json={"input": INPUT}, headers=header).status_code
            for _ in range(2)
        ]
        items = httpx.get(f"{url}/v1/runs", headers=header).json()["items"]

    assert codes == [201, 402]
    assert len(items) == 1


def test_every_model_has_a_price_or_none_and_inputs() -> None:
    assert all(model.inputs for model in MODELS.values())
    assert len(MODELS) >= 20
