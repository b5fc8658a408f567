"""Clients that exist, played against the simulator: what each asks, in which order, and reads.

They are written from the fact sheet alone: the vendor's SDK (sections 4, 7, 12 and 16), a skill, a
deployed template (sections 2 and 3) and the ComfyUI plugin. Each answer on their way has every
field that the documents name, with its type.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import documented_fields as documented
import httpx
import pytest
from documented_fields import differs
from test_simulator_batches import Service

HOST: Final = "https://simulator"
PHOTO: Final = "https://images.example/shoe.jpg"
JPEG: Final = b"\xff\xd8\xff" + b"x" * 97
SHAPES: Final = [
    ("POST", r"/v1/(models|comfyui-workflows)/.+/runs", documented.RUN),
    ("POST", r"/v1/models/.+/batches", documented.BATCH_CREATED),
    ("GET", r"/v1/runs/[^/]+", documented.RUN),
    ("GET", r"/v1/(runs|models|comfyui-workflows/.+/runs|credit-balances)", documented.PAGE),
    ("GET", r"/v1/runs/[^/]+/(logs|node-runs)", documented.PAGE),
    ("GET", r"/v1/models/.+", documented.MODEL),
    ("GET", r"/v1/batches/[^/]+", documented.BATCH),
    ("GET", r"/v1/billing/balance", documented.BALANCE),
    ("POST", r"/v1/asset-uploads", documented.ASSET_UPLOAD),
    ("POST", r"/v1/asset-uploads/[^/]+/confirmations", documented.ASSET),
    ("GET", r"/v1/assets/types", documented.PAGE),
    ("GET", r"/v1/assets/[^/]+", documented.ASSET),
]
ITEMS: Final = [
    (r"/v1/(runs|comfyui-workflows/.+/runs)", documented.RUN),
    (r"/v1/runs/[^/]+/logs", documented.LOG_LINE),
    (r"/v1/runs/[^/]+/node-runs", documented.NODE_RUN),
    (r"/v1/credit-balances", documented.BALANCE),
    (r"/v1/models", documented.MODEL),
]
"""What pages hold, where no `fields` are asked for."""


class Caller:
    """Sends what a client sends; time passes where it waits."""

    def __init__(self, service: Service, host: str = HOST) -> None:
        self._service = service
        self._host = host
        self.waited = 0.0

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Return the answer; one of the API itself is compared with the documents."""
        url = path if path.startswith("http") else self._host + path
        answer = self._service.ask(method, url, **more)
        place = answer.request.url.path
        if place.startswith("/v1/"):
            fields = documented.ERROR if answer.is_error else _shape(method, place)
            assert differs(answer.json(), fields) == [], f"{method} {place}"
            if fields is documented.PAGE and "fields" not in answer.request.url.params:
                items = next((each for form, each in ITEMS if re.fullmatch(form, place)), {})
                assert not any(differs(each, items) for each in answer.json()["items"]), place
        return answer

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self._service.later(seconds)


def _shape(method: str, path: str) -> Mapping[str, str]:
    return next(
        (fields for name, form, fields in SHAPES if name == method and re.fullmatch(form, path)), {}
    )


Connect = Callable[..., Caller]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[Service] = []

    def new(*faults: str, host: str = HOST, **settings: Any) -> Caller:
        made.append(Service(None, faults=faults, **settings))
        return Caller(made[-1], host)

    yield new
    for service in made:
        service.world.store.close()


# -- the vendor's SDK -----------------------------------------------------------------------


class SdkError(Exception):
    """What the SDK raises; its message is the service's."""


class Sdk:
    """The JavaScript SDK's way: it knows five words for how a run stands, and polls to its end."""

    ENDED: Final = frozenset({"succeeded", "failed", "canceled"})
    EVERY: Final = 2.0
    DEADLINE: Final = 180.0
    ID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, model: str, values: Mapping[str, Any]) -> Any:
        path = "/".join(["/v1/models", *model.split("/"), "runs"])
        body = {"input": values, "client_ref": f"{model}-1764450000000"}
        run = self._read(self._caller.ask("POST", path, json=body))
        assert self.ID.fullmatch(run["id"])
        return run

    def wait(self, run: Any) -> Any:
        """Poll until the run has ended by its own words; only a 5xx is passed over."""
        while self._caller.waited < self.DEADLINE:
            self._caller.wait(self.EVERY)
            answer = self._caller.ask("GET", f"/v1/runs/{run['id']}")
            if answer.status_code >= 500:
                continue
            run = self._read(answer)
            if run["status_code"] in self.ENDED:
                return run
        raise SdkError("timed out")

    def upload(self, data: bytes) -> Any:
        wanted = {"filename": "shoe.jpg", "mime_type": "image/jpeg", "size_bytes": len(data)}
        place = self._read(self._caller.ask("POST", "/v1/asset-uploads", json=wanted))
        if not place["upload_url"].startswith("https://"):
            raise SdkError("insecure upload URL")
        headers = {"Content-Type": "image/jpeg", "Authorization": ""}
        put = self._caller.ask("PUT", place["upload_url"], content=data, headers=headers)
        assert put.status_code in {200, 201, 204}
        path = f"/v1/asset-uploads/{place['asset_id']}/confirmations"
        return self._read(self._caller.ask("POST", path, json={}))

    @staticmethod
    def _read(answer: httpx.Response) -> Any:
        body = answer.json()
        if answer.is_error:
            nested = body.get("error")
            raise SdkError((nested if isinstance(nested, dict) else body)["message"])
        return body


RESIZE: Final = {"image_url": PHOTO, "aspect_ratio": "9:16", "resolution": "1K"}


def test_the_sdk_runs_a_model_to_its_end(connect: Connect) -> None:
    caller = connect()
    sdk = Sdk(caller)

    run = sdk.wait(sdk.create("runflow/smart-resize", RESIZE))
    [file] = run["output"]["outputs"]

    assert run["status_code"] == "succeeded"
    assert (file["type"], file["width"] * 16) == ("image", file["height"] * 9)
    assert caller.ask("GET", file["url"]).content.startswith(b"\x89PNG")


def test_the_sdk_passes_over_errors_of_the_server_while_it_polls(connect: Connect) -> None:
    sdk = Sdk(connect("error_before=503@1-2/get", "error_before=500@1-3/get"))

    assert sdk.wait(sdk.create("runflow/smart-resize", RESIZE))["status_code"] == "succeeded"


def test_the_sdk_is_ended_by_a_429(connect: Connect) -> None:
    caller = connect("throttle@1/get")
    sdk = Sdk(caller)
    run = sdk.create("runflow/smart-resize", RESIZE)

    with pytest.raises(SdkError, match="Rate limit exceeded"):
        sdk.wait(run)

    assert sdk.wait(run)["status_code"] == "succeeded", "the run itself goes on"


@pytest.mark.parametrize(
    ("prompt", "faults", "word"),
    [
        ("a kite", [], "succeeded"),
        ("a kite fail", [], "failed"),
        ("a kite cancel", [], "canceled"),
        ("a kite cancel", ["spelling=cancelled"], None),
        ("a kite partial", [], None),
    ],
)
def test_the_sdk_knows_few_words(
    connect: Connect, prompt: str, faults: list[str], word: str | None
) -> None:
    caller = connect(*faults)
    sdk = Sdk(caller)
    run = sdk.create("google/nano-banana-2", {"prompt": prompt, "num_images": 2})

    if word is None:
        with pytest.raises(SdkError, match="timed out"):
            sdk.wait(run)
        assert caller.waited >= Sdk.DEADLINE
    else:
        assert sdk.wait(run)["status_code"] == word
        assert caller.waited < Sdk.DEADLINE


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("unauthorized/create", "Invalid token"),
        ("no_credit", "Balance too low"),
        ("forbidden/create", "Not authorized"),
        ("error_before=503/create", "Service unavailable"),
    ],
)
def test_the_sdk_raises_what_the_envelope_says(connect: Connect, fault: str, message: str) -> None:
    sdk = Sdk(connect(fault))

    with pytest.raises(SdkError, match=message):
        sdk.create("runflow/smart-resize", RESIZE)


def test_the_sdk_reads_what_is_wrong_with_an_input(connect: Connect) -> None:
    caller = connect()
    with pytest.raises(SdkError, match="Validation failed"):
        Sdk(caller).create("runflow/smart-resize", {"image_url": PHOTO})

    body = {"input": {"image_url": "/tmp/shoe.jpg"}}
    answer = caller.ask("POST", "/v1/models/runflow/smart-resize/runs", json=body)

    assert [each["loc"][-1] for each in answer.json()["errors"]] == [
        *("image_url", "aspect_ratio", "resolution")
    ]


def test_the_sdk_uploads_over_https_alone(connect: Connect) -> None:
    with pytest.raises(SdkError, match="insecure"):
        Sdk(connect(host="http://simulator")).upload(JPEG)

    caller = connect()
    sdk = Sdk(caller)
    asset = sdk.upload(JPEG)
    values = RESIZE | {"image_url": f"runflow://assets/{asset['id']}"}
    run = sdk.wait(sdk.create("runflow/smart-resize", values))

    assert caller.ask("GET", asset["url"]).content == JPEG
    assert run["input"]["image_url"].startswith(f"{HOST}/assets/{asset['id']}")
    assert caller.ask("GET", run["input"]["image_url"]).content == JPEG


# -- a skill that removes backgrounds -------------------------------------------------------


def test_a_skill_removes_a_background(connect: Connect) -> None:
    """It waits 3 s between looks, asks for a signature at the end, and reads `image_urls`."""
    caller = connect()
    path = "/v1/models/runflow/background-removal/runs"
    made = caller.ask("POST", path, json={"input": {"image_url": PHOTO}})
    assert made.status_code == 201
    run = made.json()
    while run["status_code"] in {"queued", "dispatching", "running"}:
        caller.wait(3.0)
        run = caller.ask("GET", f"/v1/runs/{run['id']}").json()
    signed = caller.ask("GET", f"/v1/runs/{run['id']}", params={"add_signature": "true"}).json()

    [url] = signed["output"]["image_urls"]

    assert caller.ask("GET", url, headers={"Authorization": ""}).content.startswith(b"\x89PNG")


def test_a_skill_that_comes_back_later_gets_a_fresh_url(connect: Connect) -> None:
    caller = connect()
    path = "/v1/models/runflow/background-removal/runs"
    run = caller.ask("POST", path, json={"input": {"image_url": PHOTO}}).json()
    caller.wait(30)
    [old] = caller.ask("GET", f"/v1/runs/{run['id']}").json()["output"]["image_urls"]
    caller.wait(86_430)

    [fresh] = caller.ask("GET", f"/v1/runs/{run['id']}").json()["output"]["image_urls"]

    assert caller.ask("GET", old).status_code == 403
    assert caller.ask("GET", fresh).status_code == 200


# -- a template that chains models ----------------------------------------------------------

CHAIN: Final[list[tuple[str, dict[str, Any]]]] = [
    ("runflow/tag-removal", {"config": {"aspect_ratio": "1:1"}}),
    ("runflow/background-removal", {}),
    ("runflow/product-isolation", {"aspect_ratio": "1:1", "prompt": "the shoe"}),
    ("runflow/skin-fix", {}),
    ("runflow/outpaint", {"expand_top": 39, "expand_bottom": 39}),
    ("runflow/background-color", {"color_red": 245, "color_green": 220, "color_blue": 200}),
    ("runflow/smart-resize", {"aspect_ratio": "9:16", "resolution": "2K"}),
]
LIST: Final = {
    "q": "client_ref.EQ:'job-7f3a'",
    "fields": "id,status_code,client_ref,output,input,cost,duration_ms,created_at",
    "sort_by": "created_at:asc",
    "limit": 100,
}


def first_url(output: Any) -> str:
    """Return the first file of an output of either shape."""
    urls = output.get("image_urls") or [file["url"] for file in output["outputs"]]
    return str(urls[0])


def test_a_template_chains_seven_models(connect: Connect) -> None:
    caller = connect()
    url = PHOTO
    for model, values in CHAIN:
        body = {"input": {"image_url": url, **values}, "client_ref": "job-7f3a"}
        made = caller.ask("POST", f"/v1/models/{model}/runs", json=body)
        assert made.status_code == 201, made.text
        output = None
        while output is None:
            caller.wait(2.5)
            page = caller.ask("GET", "/v1/runs", params=LIST).json()
            output = page["items"][-1]["output"]
        url = first_url(output)

    items = caller.ask("GET", "/v1/runs", params=LIST).json()["items"]

    assert all(each.keys() == set(LIST["fields"].split(",")) for each in items)  # type: ignore[attr-defined]
    assert [each["client_ref"] for each in items] == ["job-7f3a"] * len(CHAIN)
    assert {each["status_code"] for each in items} == {"succeeded"}
    assert sorted(items, key=lambda each: each["created_at"]) == items
    for each, then in pairwise(items):
        assert (
            then["input"]["image_url"].partition("?")[0]
            == first_url(each["output"]).partition("?")[0]
        )
    assert caller.ask("GET", url).status_code == 200


def test_a_template_lists_a_batch_that_is_longer_than_a_page(connect: Connect) -> None:
    caller = connect()
    for number in range(230):
        values = {"image_url": f"https://images.example/{number}.jpg"}
        body = {"input": values, "client_ref": "job-7f3a"}
        caller.ask("POST", "/v1/models/runflow/skin-fix/runs", json=body)
    caller.wait(30)
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    sizes = []
    while cursor is not None:
        page = caller.ask("GET", "/v1/runs", params={**LIST, **cursor}).json()
        found += page["items"]
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        cursor = {"pq": page["next"]}

    assert sizes == [100, 100, 30]
    assert [each["input"]["image_url"] for each in found] == [
        f"https://images.example/{number}.jpg" for number in range(230)
    ]


# -- the ComfyUI plugin ---------------------------------------------------------------------

WORKFLOW: Final = "runflow-access/brand-locked-variant-nux"


@pytest.mark.parametrize("kind", ["models", "comfyui-workflows"])
def test_the_plugin_calls_a_workflow(connect: Connect, kind: str) -> None:
    """It checks its key and the balance, uploads, calls, and reads whatever holds a URL."""
    caller = connect()
    assert caller.ask("GET", "/v1/auth/me").json()["org_id"]
    balance = caller.ask("GET", "/v1/credit-balances").json()["items"][0]
    assert float(balance.get("balance_usd") or balance["balance"]) > 0
    assert "image/jpeg" in {
        each["mime_type"] for each in caller.ask("GET", "/v1/assets/types").json()["items"]
    }
    asset = Sdk(caller).upload(JPEG)
    values = {
        "prompt": "a red shoe",
        "aspect_ratio": "1:1",
        "primary_design_ref": f"runflow://assets/{asset['id']}",
        "Aux Reference 1": asset["url"],
    }
    made = caller.ask("POST", f"/v1/{kind}/{WORKFLOW}/runs", json={"input": values}).json()
    run_id = made.get("run_id") or made["id"]
    run = made
    while run["status_code"] not in {"succeeded", "failed", "canceled", "cancelled"}:
        caller.wait(5.0)
        run = caller.ask("GET", f"/v1/runs/{run_id}").json()

    listed = caller.ask("GET", f"/v1/comfyui-workflows/{WORKFLOW}/runs").json()["items"]

    assert (run["status_code"], run["target_type"]) == ("succeeded", "comfyui_workflow")
    assert (run["nodes_completed"], run["nodes_total"]) == (7, 7)
    assert caller.ask("GET", first_url(run["output"])).status_code == 200
    assert [each["id"] for each in listed] == [run_id]
    assert caller.ask("GET", run["input"]["Aux Reference 1"]).content == JPEG
    steps = caller.ask("GET", f"/v1/runs/{run_id}/node-runs").json()["items"]
    assert {each["state_code"] for each in steps} == {"succeeded"}


def test_the_plugin_s_tool_gives_several_runs_one_reference(connect: Connect) -> None:
    caller = connect()
    body = {"input": {"prompt": "a red shoe"}, "client_ref": "shared"}

    ids = {
        caller.ask("POST", f"/v1/models/{WORKFLOW}/runs", json=body).json()["id"] for _ in range(3)
    }

    assert len(ids) == 3
    page = caller.ask("GET", "/v1/runs", params={"q": "client_ref.eq:'shared'"}).json()
    assert {each["id"] for each in page["items"]} == ids


# -- an old guide's batch -------------------------------------------------------------------


def test_a_batch_is_watched_by_its_lean_items(connect: Connect) -> None:
    caller = connect()
    values = [{"image_url": PHOTO, "client_ref": f"row-{number}"} for number in range(5)]
    path = "/v1/models/runflow/dyver-removal/batches"
    body = {"input": [each | {"config": {"elements": ["tag_removal"]}} for each in values]}
    batch = caller.ask("POST", path, json=body).json()
    assert (batch["status_code"], batch["items_total"]) == ("queued", 5)
    while batch["status_code"] in {"queued", "dispatching", "running"}:
        caller.wait(2.0)
        batch = caller.ask("GET", f"/v1/batches/{batch['id']}").json()

    outputs = [
        caller.ask("GET", f"/v1/runs/{each['run_id']}").json()["output"]["outputs"]
        for each in batch["items"]
    ]

    assert (batch["status_code"], batch["items_succeeded"]) == ("succeeded", 5)
    assert [each["client_ref"] for each in batch["items"]] == [f"row-{n}" for n in range(5)]
    for files in outputs:
        final = [file["url"] for file in files if "result_" in file["url"]]
        assert len(final) == 1
        assert caller.ask("GET", final[0]).status_code == 200
