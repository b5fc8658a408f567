"""Batches as the simulator serves them: one POST, many runs, told of by the batch and by lists.

Over the application itself with a clock of the test's own; over a real socket where an answer has
to be lost on it.
"""

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from PIL import Image
from test_simulator import check

from batchrun.commands import simulate
from batchrun.simulator.app import create_app
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings
from batchrun.simulator.store import Store
from batchrun.simulator.world import World

HEADERS = {"Authorization": "Bearer key"}
PATH = "/v1/models/runflow/tag-removal/batches"
NANO = "/v1/models/google/nano-banana-2"
SHAPE = "/v1/models/{owner}/{slug}/batches"
IMAGE = "https://images.example/{}.png"
ENDED = 10.0
"""Seconds after which every run here has ended."""


class Service:
    """One process of the simulator; *later* lets time pass."""

    def __init__(self, state: Path | None, **settings: Any) -> None:
        self._now = 1_800_000_000.0
        settings["faults"] = tuple(map(parse_fault, settings.get("faults", ())))
        self.world = World(state, settings=Settings(**settings), clock=lambda: self._now)
        self._app = create_app(self.world)

    def later(self, seconds: float = ENDED) -> None:
        self._now += seconds

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://simulator", headers=HEADERS
            ) as client:
                return await client.request(method, path, **more)

        return asyncio.run(exchange())

    def post(
        self, items: int | list[Any] = 2, *, key: str | None = None, path: str = PATH, **more: Any
    ) -> httpx.Response:
        inputs = [item(n) for n in range(items)] if isinstance(items, int) else items
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", path, json={"input": inputs, **more}, headers=headers)

    def post_and_go(self, path: str, body: Any, *, key: str | None = None) -> None:
        """Send a POST, and close the connection before there is an answer."""
        messages = iter(
            [
                {"type": "http.request", "body": json.dumps(body).encode()},
                {"type": "http.disconnect"},
            ]
        )
        headers = HEADERS if key is None else {**HEADERS, "Idempotency-Key": key}
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        }

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            raise AssertionError(f"an answer to a caller who has gone: {message}")

        asyncio.run(self._app(scope, receive, send))

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.ask("GET", path, params=params or None)

    def runs(self, **params: Any) -> list[Any]:
        items = self.get("/v1/runs", limit=500, **params).json()["items"]
        assert isinstance(items, list)
        return items


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"image_url": IMAGE.format(number), "client_ref": "w1", **more}


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def new(state: Path | None = None, **settings: Any) -> Service:
        made.append(Service(state, **settings))
        return made[-1]

    yield new
    for service in made:
        service.world.store.close()


Serve = Callable[..., Service]


def test_every_answer_has_the_documented_shape(serve: Serve) -> None:
    service = serve()
    made = service.post([item(0), {"image_url": "no URL"}], metadata={"a": 1})
    batch = check(made, SHAPE, "post")
    path = f"/v1/batches/{batch['id']}"

    for _ in range(2):
        check(service.get(path), "/v1/batches/{batch_id}")
        page = check(service.get(f"{path}/items"), "/v1/batches/{batch_id}/items")
        for each in page["items"]:
            one = service.get(f"{path}/items/{each['id']}")
            assert check(one, "/v1/batches/{batch_id}/items/{item_id}") == each
            check(service.get(f"/v1/runs/{each['run_id']}"), "/v1/runs/{run_id}")
        service.later()


def test_every_item_is_a_run_known_at_once(serve: Serve) -> None:
    service = serve()

    batch = service.post([item(n, client_ref=f"w{n}") for n in range(3)]).json()

    assert batch["status_code"] == "queued"
    assert [each["sequence_index"] for each in batch["items"]] == [0, 1, 2]
    assert [each["client_ref"] for each in batch["items"]] == ["w0", "w1", "w2"]
    for number, each in enumerate(batch["items"]):
        run = service.get(f"/v1/runs/{each['run_id']}").json()
        assert run["batch_id"] == batch["id"]
        assert run["client_ref"] == f"w{number}"
        assert run["input"] == {"image_url": IMAGE.format(number)}


def test_a_batch_goes_from_queued_to_succeeded_and_costs_what_its_runs_do(serve: Serve) -> None:
    service = serve()
    batch = service.post(3, metadata={"a": 1}, callback_url="https://me.example/").json()

    service.later()
    ended = service.get(f"/v1/batches/{batch['id']}").json()

    assert (batch["status_code"], batch["cost"], batch["completed_at"]) == ("queued", None, None)
    assert (ended["status_code"], ended["cost"]) == ("succeeded", "0.42")
    assert (ended["items_total"], ended["items_succeeded"], ended["items_failed"]) == (3, 3, 0)
    assert {each["status_code"] for each in ended["items"]} == {"succeeded"}
    assert ended["completed_at"] == max(run["completed_at"] for run in service.runs())
    assert (ended["metadata"], ended["callback_url"]) == ({"a": 1}, "https://me.example/")
    assert ended["input"] == [{"image_url": IMAGE.format(n)} for n in range(3)]


@pytest.mark.parametrize(
    ("prompts", "status", "counts"),
    [
        (["a", "fail"], "partial_succeeded", (1, 1, 0)),
        (["fail", "fail"], "failed", (0, 2, 0)),
        (["a", "cancel", "partial"], "partial_succeeded", (2, 0, 1)),
        (["cancel", "fail"], "failed", (0, 1, 1)),
        (["cancel"], "canceled", (0, 0, 1)),
    ],
)
def test_a_batch_ends_as_its_items_did(
    serve: Serve, prompts: list[str], status: str, counts: tuple[int, int, int]
) -> None:
    service = serve(batches="all")
    items = [{"prompt": f"a kite {prompt}"} for prompt in prompts]
    batch = service.post(items, path=f"{NANO}/batches").json()

    service.later()
    ended = service.get(f"/v1/batches/{batch['id']}").json()

    names = ("items_succeeded", "items_failed", "items_cancelled")
    assert (ended["status_code"], tuple(ended[name] for name in names)) == (status, counts)


def test_a_batch_runs_while_some_of_its_items_do(serve: Serve) -> None:
    service = serve()
    batch = service.post(20).json()

    service.later(2.0)
    shown = service.get(f"/v1/batches/{batch['id']}").json()

    assert shown["status_code"] == "running"
    assert 0 < shown["items_succeeded"] < 20
    assert shown["completed_at"] is None


def test_a_bad_item_fails_alone(serve: Serve) -> None:
    service = serve()
    batch = service.post([item(0), {"client_ref": "w1", "image_url": "no URL"}, item(2)]).json()
    at_once = [each["status_code"] for each in batch["items"]]

    service.later()
    ended = service.get(f"/v1/batches/{batch['id']}").json()
    [_, bad, _] = service.get(f"/v1/batches/{batch['id']}/items").json()["items"]

    assert at_once == ["queued", "queued", "queued"], "the answer to the POST comes before all else"
    assert (ended["status_code"], ended["cost"]) == ("partial_succeeded", "0.28")
    assert bad["error"]["code"] == "INPUT_VALIDATION_FAILED"
    assert bad["error"]["message"].startswith("image_url: ")
    assert bad["run"]["failure_code"] == "INPUT_VALIDATION_FAILED"
    assert bad["run"]["failure_stage_code"] == "preprocess"
    assert (bad["client_ref"], bad["cost"], bad["output"]) == ("w1", None, None)


def test_a_bad_item_may_have_the_whole_request_refused(serve: Serve) -> None:
    service = serve(refuse_bad_items=True)

    answer = service.post([item(0), {"image_url": "no URL"}])

    assert answer.status_code == 422
    [error] = check(answer, SHAPE, "post")["errors"]
    assert error["loc"] == ["body", "input", 1, "image_url"]
    assert service.runs() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": {"image_url": IMAGE}},
        {"input": [item(n) for n in range(101)]},
        {"input": [item(0), "text"]},
        {"input": [item(0, client_ref="x" * 256)]},
        {"input": [item(0, client_ref=5)]},
        {"input": [item(0)], "callback_url": "x" * 2049},
        {"items": [item(0)]},
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(serve: Serve, body: dict[str, Any]) -> None:
    service = serve()

    answer = service.ask("POST", PATH, json=body)

    assert answer.status_code == 422
    check(answer, SHAPE, "post")
    assert service.runs() == []


def test_the_spelling_of_the_guide_is_taken_too(serve: Serve) -> None:
    service = serve()
    guide = {"items": [{"input": {"image_url": IMAGE.format(0)}, "client_ref": "w1"}]}

    answer = service.ask("POST", PATH, json=guide)

    assert answer.status_code == 201
    [run] = service.runs(q="client_ref.EQ:'w1'")
    assert run["input"] == {"image_url": IMAGE.format(0)}


@pytest.mark.parametrize(
    ("batches", "own", "others"), [("all", 201, 201), ("some", 201, 422), ("none", 422, 422)]
)
def test_which_models_take_batches_can_be_chosen(
    serve: Serve, batches: str, own: int, others: int
) -> None:
    service = serve(batches=batches)

    answers = service.post(1), service.post([{"prompt": "a kite"}], path=f"{NANO}/batches")

    assert [answer.status_code for answer in answers] == [own, others]
    for answer in answers:
        check(answer, SHAPE, "post")
    assert len(service.runs()) == [own, others].count(201)


def test_a_model_that_is_not_there_is_404(serve: Serve) -> None:
    answer = serve(batches="all").post(1, path="/v1/models/nobody/nothing/batches")

    assert answer.status_code == 404
    check(answer, SHAPE, "post")


def test_the_same_key_replays_the_batch_and_another_body_conflicts(serve: Serve) -> None:
    service = serve()

    first, again, other = (service.post(n, key="k") for n in (2, 2, 3))
    fresh = service.post(2, key="another")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert other.status_code == 409
    check(other, SHAPE, "post")
    assert fresh.json()["id"] != first.json()["id"]
    assert len(service.runs()) == 4


@pytest.mark.parametrize("settings", [{"idempotency": False}, {"faults": ["no_idempotency"]}])
def test_the_key_is_ignored_where_the_service_is_told_to(
    serve: Serve, settings: dict[str, Any]
) -> None:
    service = serve(**settings)

    ids = {service.post(2, key="k").json()["id"] for _ in range(2)}

    assert len(ids) == 2
    assert len(service.runs()) == 4


def test_a_refused_batch_leaves_its_key_free(serve: Serve) -> None:
    service = serve(refuse_bad_items=True)

    refused, taken = service.post([{}], key="k"), service.post(1, key="k")

    assert (refused.status_code, taken.status_code) == (422, 201)


def test_a_batch_that_may_cost_more_than_is_left_makes_nothing(serve: Serve) -> None:
    service = serve(balance=Decimal("0.30"))

    dear, bearable, then = service.post(3), service.post(2), service.post(1)

    assert [answer.status_code for answer in (dear, bearable, then)] == [402, 201, 402]
    assert check(dear, SHAPE, "post")["code"] == "INSUFFICIENT_CREDITS"
    assert len(service.runs()) == 2
    service.later()
    assert service.get("/v1/billing/balance").json()["balance"] == "0.02"


def test_a_bad_item_is_not_counted_against_the_balance(serve: Serve) -> None:
    service = serve(balance=Decimal("0.15"))

    answer = service.post([item(0), {}])

    assert answer.status_code == 201


def test_runs_are_found_by_reference_and_by_batch(serve: Serve) -> None:
    service = serve()
    first, second = service.post(2).json(), service.post(3).json()
    service.post([item(0, client_ref="w2")])
    of_both = f"client_ref.EQ:'w1' AND batch_id.EQ:'{second['id']}'"

    assert len(service.runs(q="client_ref.EQ:'w1'")) == 5
    assert {run["batch_id"] for run in service.runs(q=of_both)} == {second["id"]}
    lean = service.runs(q=f"batch_id.EQ:'{first['id']}'", fields="id,batch_id,client_ref")
    assert lean == [
        {"id": each["run_id"], "batch_id": first["id"], "client_ref": "w1"}
        for each in reversed(first["items"])
    ]


def pages(service: Service, path: str, **params: Any) -> list[list[Any]]:
    """Return the items of each page, to the last."""
    seen: list[list[Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.get(path, **params, **cursor).json()
        seen.append(page["items"])
        if (following := page.get("next") or page.get("next_pq")) is None:
            return seen
        cursor = {"pq": following}


@pytest.mark.parametrize("fault", [None, "page_cap=3/batch_items+list", "next_pq/batch_items+list"])
def test_pages_show_every_item_and_every_run_once(serve: Serve, fault: str | None) -> None:
    service = serve(faults=[fault] if fault else [])
    batch = service.post(7).json()
    made = [each["run_id"] for each in batch["items"]]
    limit = 500 if fault == "page_cap=3/batch_items+list" else 3

    items = pages(service, f"/v1/batches/{batch['id']}/items", limit=limit, fields="run_id")
    runs = pages(service, "/v1/runs", limit=limit, sort_by="created_at:asc")

    assert [len(page) for page in items] == [3, 3, 1]
    assert [each for page in items for each in page] == [{"run_id": run} for run in made]
    assert [run["id"] for page in runs for run in page] == made


def test_items_can_be_filtered_and_sorted(serve: Serve) -> None:
    service = serve()
    batch = service.post([item(0), {}, item(2)]).json()
    path = f"/v1/batches/{batch['id']}/items"

    bad = service.get(path, q="status_code.EQ:'failed'").json()["items"]
    last = service.get(path, sort_by="sequence_index:desc", limit=1).json()["items"]

    assert [each["sequence_index"] for each in bad] == [1]
    assert [each["sequence_index"] for each in last] == [2]
    assert service.get(path, q="input.EQ:'x'").status_code == 400


@pytest.mark.parametrize("shown", [False, True])
def test_runs_carry_the_metadata_of_their_batch_only_where_told_to(
    serve: Serve, *, shown: bool
) -> None:
    service = serve(child_metadata=shown)

    batch = service.post(2, metadata={"a": 1}).json()

    assert batch["metadata"] == {"a": 1}
    assert [run["metadata"] for run in service.runs()] == [{"a": 1} if shown else None] * 2


def test_wishes_of_the_metadata_hold_for_every_item(serve: Serve) -> None:
    service = serve()
    batch = service.post(2, metadata={"simulate": {"outcome": "failed", "seconds": 1}}).json()

    service.later(1.0)

    ended = service.get(f"/v1/batches/{batch['id']}").json()
    assert (ended["status_code"], ended["items_failed"]) == ("failed", 2)


def test_the_same_flaky_input_twice_in_a_batch_fails_once(serve: Serve) -> None:
    service = serve(batches="all")
    batch = service.post([{"prompt": "a flaky kite"}] * 2, path=f"{NANO}/batches").json()

    service.later()

    ended = service.get(f"/v1/batches/{batch['id']}").json()
    assert [each["status_code"] for each in ended["items"]] == ["failed", "succeeded"]


def test_the_cells_of_a_batch_are_counted(serve: Serve) -> None:
    service = serve()
    tag = {"sweep": "s", "key": "k", "cells": [["c1", 1], ["c2", 1], ["c1", 2]]}
    service.post(3, metadata={"batchrun": tag})
    service.ask(
        "POST",
        "/v1/models/runflow/tag-removal/runs",
        json={"input": {"image_url": IMAGE}, "metadata": {"batchrun": {"cell": "c3"}}},
    )

    stats = service.get("/_simulator/stats").json()
    runs = service.get("/_simulator/runs").json()

    assert (stats["runs"], stats["batches"], stats["cells"]) == (4, 1, 3)
    assert stats["twice"] == {"c1": 2}
    assert stats["requests"] == {"create 201": 1, "create_batch 201": 1}
    assert [run["cell"] for run in runs] == ["c1", "c2", "c1", "c3"]


@pytest.mark.parametrize(
    "tag", [{}, {"cells": 5}, {"cells": []}, {"cells": [[], [5, 1]]}, {"cells": ["c1", {}]}, []]
)
def test_a_tag_of_any_other_shape_names_no_cell(serve: Serve, tag: Any) -> None:
    service = serve()

    service.post(2, metadata={"batchrun": tag})

    assert service.get("/_simulator/stats").json()["cells"] == 0


def test_an_item_has_a_picture_as_any_run_has(serve: Serve) -> None:
    service = serve()
    batch = service.post(2).json()
    service.later()
    full = service.get(f"/v1/batches/{batch['id']}/items").json()["items"]

    for each in full:
        [url] = each["output"]["image_urls"]
        picture = Image.open(io.BytesIO(service.get(url).content))
        assert picture.size == (512, 512)
        assert each["run"]["output"] == each["output"]


def test_a_batch_survives_the_process_that_made_it(tmp_path: Path, serve: Serve) -> None:
    state = tmp_path / "state.sqlite"
    before = serve(state)
    batch = before.post([item(0), {}], key="k", metadata={"a": 1}).json()
    shown = before.get(f"/v1/batches/{batch['id']}").json()
    before.world.store.close()

    after = serve(state)

    assert after.get(f"/v1/batches/{batch['id']}").json() == shown
    assert after.post([item(0), {}], key="k", metadata={"a": 1}).json() == batch
    assert len(after.runs()) == 2


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_state_of_an_older_version_is_taken_over(tmp_path: Path, version: int) -> None:
    state = tmp_path / "state.sqlite"
    Store(state).close()
    with sqlite3.connect(state) as old:
        for column in ("planned_outcome", "planned_end", "cancel_reason"):
            old.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        old.execute("ALTER TABLE accounts DROP COLUMN threshold")
        old.execute("DROP TABLE asset_bytes")
        if version < 3:
            old.execute("DROP INDEX batches_to_call")
            old.execute("ALTER TABLE batches DROP COLUMN ended")
        if version == 1:
            old.execute("ALTER TABLE runs DROP COLUMN failure")
        old.execute(f"PRAGMA user_version = {version}")
        old.execute(
            "INSERT INTO runs (id, org, model, batch_id, cell_key, input, metadata, callback_url, "
            "request_id, created, committed, listed, outcome, dispatching, running, ended) "
            "VALUES ('r', 'o', 'm', 'b', 'c', '{}', "
            """'{"batchrun": {"cell": "c", "key": "k"}}', 'u', 'q', 1, 1, 1, 'failed', 1, 1, 5)"""
        )
        old.execute(
            "INSERT INTO batches (id, org, model, callback_url, created, committed) "
            "VALUES ('b', 'o', 'm', 'u', 1, 1)"
        )
    old.close()

    for _ in range(2):
        store = Store(state)
        run, batch = store.run("r"), store.batch("b")
        store.close()
        assert run is not None
        assert batch is not None
        assert (run.cell_key, run.failure, run.planned_end) == ("c", None, None)
        if version < 3:
            assert batch.ended == 5
            assert (run.called_back, batch.called_back) == (1, 1), "that version called no one back"


def test_another_organisation_sees_nothing_of_it(serve: Serve) -> None:
    service = serve()
    batch = service.post(1).json()
    other = {"Authorization": "Bearer other"}

    for path in ("", "/items", f"/items/{batch['items'][0]['id']}"):
        answer = service.ask("GET", f"/v1/batches/{batch['id']}{path}", headers=other)
        assert answer.status_code == 404
    assert service.get("/v1/batches/nothing").status_code == 404
    assert service.get(f"/v1/batches/{batch['id']}/items/nothing").status_code == 404
    assert service.ask("POST", PATH, json={}, headers={"Authorization": ""}).status_code == 401


# -- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("throttle/create_batch", 429),
        ("error_before/create_batch", 503),
        ("error_before_html/create_batch", 502),
        ("error_before=422/create_batch", 422),
        ("unauthorized/create_batch", 401),
        ("no_credit", 402),
        ("conflict_409", 409),
        ("proxy_page/create_batch", 403),
    ],
)
def test_a_fault_before_the_commit_makes_nothing(serve: Serve, fault: str, status: int) -> None:
    service = serve(faults=[fault])

    answer = service.post(2, key="k")
    service.world.faults.clear()

    assert answer.status_code == status
    assert service.runs() == []
    assert service.post(2, key="k").status_code == 201


@pytest.mark.parametrize(
    ("fault", "status"), [("error_after", 500), ("error_after_html", 504), ("no_run_id", 201)]
)
def test_a_fault_after_the_commit_has_made_all_of_it(serve: Serve, fault: str, status: int) -> None:
    service = serve(faults=[f"{fault}@1"])

    spoilt, again = service.post(2, key="k"), service.post(2, key="k")

    assert spoilt.status_code == status
    assert b"sequence_index" not in spoilt.content
    assert {run["batch_id"] for run in service.runs()} == {again.json()["id"]}
    assert len(service.runs()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ("drop_before", 0),
        ("reset", 0),
        ("hang_before_commit", 0),
        ("lost_answer", 2),
        ("reset_after", 2),
        ("half_answer", 2),
        ("hang_before_headers", 2),
        ("hang_after_headers", 2),
    ],
)
def test_an_answer_that_is_lost_on_the_wire_has_made_all_or_nothing(fault: str, made: int) -> None:
    settings = Settings(faults=(parse_fault(f"{fault}@1/create_batch"),))
    body = {"input": [item(0), item(1)]}
    patience = httpx.Timeout(60.0, read=0.5 if "hang" in fault else 60.0)
    with embedded(None, settings=settings) as url:
        with pytest.raises(httpx.TransportError):
            httpx.post(url + PATH, json=body, headers=HEADERS, timeout=patience)
        runs = httpx.get(f"{url}/v1/runs", headers=HEADERS).json()["items"]

    assert len(runs) == made
    assert len({run["batch_id"] for run in runs}) == (1 if made else 0)


def test_a_batch_that_is_committed_late_is_not_there_before(serve: Serve) -> None:
    service = serve(faults=["commit_lag=5/create_batch"])
    batch = service.post(2).json()
    path = f"/v1/batches/{batch['id']}"
    run = f"/v1/runs/{batch['items'][0]['run_id']}"

    before = service.get(path), service.get(f"{path}/items"), service.get(run)
    unseen = service.runs()
    service.later(5.0)

    assert [answer.status_code for answer in before] == [404, 404, 404]
    assert unseen == []
    assert service.get(path).status_code == 200
    assert len(service.runs()) == 2


def test_a_batch_that_commits_late_and_answers_then_is_made_once(serve: Serve) -> None:
    service = serve(faults=["commit_late=0.05/create_batch"])

    first, again = service.post(2, key="k"), service.post(2, key="k")
    before = service.runs()
    service.later(0.05)

    assert first.json() == again.json()
    assert service.world.faults.struck["commit_late"] == 2
    assert before == []
    assert len(service.runs()) == 2


@pytest.mark.parametrize("path", [PATH, f"{NANO}/runs"])
def test_what_is_committed_on_a_resend_waits_for_one_where_its_caller_has_gone(
    serve: Serve, path: str
) -> None:
    service = serve(faults=["commit_on_resend=3600@1", "no_idempotency"])
    body = {"input": [item(0), item(1)]} if path == PATH else {"input": {"prompt": "a chair"}}
    service.post_and_go(path, body, key="k")

    before = service.runs()
    service.ask("POST", path, json=body, headers={"Idempotency-Key": "another"})
    other = service.runs()
    service.ask("POST", path, json=body, headers={"Idempotency-Key": "k"})
    after = service.runs()
    service.ask("POST", path, json=body, headers={"Idempotency-Key": "k"})

    of_one = 2 if path == PATH else 1
    assert before == []
    assert len(other) == of_one
    assert len(after) == 3 * of_one, "the resent one and the one that waited for it"
    assert len(service.runs()) == 4 * of_one, "which waits no longer"


def test_what_is_committed_on_a_resend_is_made_once_where_its_key_counts(serve: Serve) -> None:
    service = serve(faults=["commit_on_resend=3600@1"])
    service.post_and_go(PATH, {"input": [item(0), item(1)]}, key="k")

    service.post(2, key="k")

    assert len(service.runs()) == 2


def test_without_a_key_no_request_is_a_resend_of_another(serve: Serve) -> None:
    service = serve(faults=["commit_on_resend=3600@1"])
    service.post_and_go(PATH, {"input": [item(0)]})

    service.post(2)

    assert len(service.runs()) == 2


def test_a_caller_who_waits_is_answered_without_a_resend(serve: Serve) -> None:
    service = serve(faults=["commit_on_resend=0.01"])

    answer = service.post(2, key="k")

    assert answer.status_code == 201
    assert len(service.runs()) == 2


def test_a_refusal_comes_late_too(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    real = anyio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    service = serve(faults=["commit_late=7"], refuse_bad_items=True)
    monkeypatch.setattr(anyio, "sleep", sleep)

    refused = service.post([{"image_url": "no URL"}])

    assert refused.status_code == 422
    assert 7.0 in slept


def test_a_batch_that_is_listed_late_is_told_of_by_its_id(serve: Serve) -> None:
    service = serve(faults=["list_lag=5/create_batch"])
    batch = service.post(2).json()
    by_batch = f"batch_id.EQ:'{batch['id']}'"

    unseen = service.runs(q=by_batch)
    by_id = service.get(f"/v1/batches/{batch['id']}")
    service.later(5.0)

    assert unseen == []
    assert len(by_id.json()["items"]) == 2
    assert len(service.runs(q=by_batch)) == 2


def test_a_lag_is_that_of_the_request_and_not_of_each_item(serve: Serve) -> None:
    service = serve(faults=["list_lag=5@1/create_batch"])

    service.post(3)
    service.post(2)

    assert len(service.runs()) == 2


def test_runs_look_different_in_a_batch_as_everywhere(serve: Serve) -> None:
    stuck, forgetful = serve(faults=["stuck_queued@2"]), serve(faults=["forget_run@2"])
    cancelled = serve(faults=["spelling"])
    ids = [
        service.post(3, metadata=metadata).json()["id"]
        for service, metadata in (
            (stuck, None),
            (forgetful, None),
            (cancelled, {"simulate": {"outcome": "canceled"}}),
        )
    ]

    for service in (stuck, forgetful, cancelled):
        service.later()
    shown = [
        service.get(f"/v1/batches/{batch_id}").json()
        for service, batch_id in zip((stuck, forgetful, cancelled), ids, strict=True)
    ]

    assert [each["status_code"] for each in shown[0]["items"]] == [
        "succeeded",
        "queued",
        "succeeded",
    ]
    assert (shown[0]["status_code"], shown[0]["cost"]) == ("running", "0.28")
    assert [each["sequence_index"] for each in shown[1]["items"]] == [0, 2]
    assert {each["status_code"] for each in shown[2]["items"]} == {"cancelled"}
    assert (shown[2]["status_code"], shown[2]["items_cancelled"]) == ("canceled", 3)


def test_a_batch_whose_runs_are_all_forgotten_is_forgotten(serve: Serve) -> None:
    service = serve(faults=["forget_run"])
    batch = service.post(2).json()

    assert service.get(f"/v1/batches/{batch['id']}").status_code == 404


@pytest.mark.parametrize("route", ["batch", "batch_items", "batch_item"])
def test_reading_a_batch_can_be_struck_too(serve: Serve, route: str) -> None:
    service = serve(faults=[f"error_before/{route}"])
    batch = service.post(1).json()
    path = f"/v1/batches/{batch['id']}"
    paths = {
        "batch": path,
        "batch_items": f"{path}/items",
        "batch_item": f"{path}/items/{batch['items'][0]['id']}",
    }

    statuses = {name: service.get(where).status_code for name, where in paths.items()}

    assert statuses == {name: 503 if name == route else 200 for name in paths}
    assert service.get("/_simulator/stats").json()["requests"][f"{route} 503"] == 1


def test_an_old_service_refuses_the_items_that_name_an_asset(serve: Serve) -> None:
    service = serve(faults=["https_only/create_batch"])

    batch = service.post([item(0), item(1, image_url="runflow://assets/0")]).json()

    [_, bad] = service.get(f"/v1/batches/{batch['id']}/items").json()["items"]
    assert bad["status_code"] == "failed"
    assert "must use HTTP(S)" in bad["error"]["message"]


# -- the command ----------------------------------------------------------------------------


def test_the_command_sets_up_what_it_is_told() -> None:
    told = ["--batches", "all", "--refuse-bad-items", "--child-metadata"]

    given = simulate._settings(simulate.parser().parse_args(told))
    default = simulate._settings(simulate.parser().parse_args([]))

    assert (given.batches, given.refuse_bad_items, given.child_metadata) == ("all", True, True)
    assert default == Settings()
