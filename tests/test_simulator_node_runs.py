"""Node runs and log lines: of one life with the run's own progress, whatever comes of it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import documented_fields as documented
import pytest
from documented_fields import differs
from test_simulator import check
from test_simulator_batches import Service

from batchrun.simulator import steps
from batchrun.simulator.models import MODELS

PHOTO: Final = "https://images.example/1.png"
DYVER: Final = "runflow/dyver-removal"
REPLACE: Final = "runflow/background-replace"
ONE: Final = "runflow/skin-fix"
ELEMENTS: Final = ["background_removal", "tag_removal", "unheard_of"]
INPUTS: Final[dict[str, Any]] = {
    DYVER: {"image_url": PHOTO, "config": {"elements": ELEMENTS}},
    REPLACE: {"prompt": "a beach"},
    ONE: {"image_url": PHOTO},
    "runflow/smart-resize": {"image_url": PHOTO, "aspect_ratio": "1:1", "resolution": "1K"},
    "runflow-access/brand-locked-variant-nux": {"prompt": "a shoe"},
    "heygen/v3/video-agent": {"prompt": "a shoe"},
}
OUTCOMES: Final = ("succeeded", "partial_succeeded", "failed", "canceled")
ENDED: Final = {"succeeded", "partial_succeeded", "failed", "canceled", "skipped"}

Serve = Callable[..., Service]


def create(service: Service, model: str = DYVER, **wishes: Any) -> Any:
    body = {"input": INPUTS[model], "metadata": {"simulate": wishes}}
    answer = service.ask("POST", f"/v1/models/{model}/runs", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def run_of(service: Service, run: Any) -> Any:
    return service.get(f"/v1/runs/{run['id']}").json()


def part_of(service: Service, run: Any, part: str, **params: Any) -> list[Any]:
    run_id = run if isinstance(run, str) else run["id"]
    page = check(service.get(f"/v1/runs/{run_id}/{part}", **params), f"/v1/runs/{{run_id}}/{part}")
    assert differs(page, documented.PAGE) == []
    found: list[Any] = page["items"]
    return found


@pytest.mark.parametrize("model", INPUTS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_nodes_and_progress_agree_at_each_moment(serve: Serve, model: str, outcome: str) -> None:
    service = serve()
    run = create(service, model, outcome=outcome, seconds=4.0)
    done, shown, states = 0, run, ["queued"]

    for _ in range(25):
        shown, nodes = run_of(service, run), part_of(service, run, "node-runs")
        states = [node["state_code"] for node in nodes]
        assert differs(shown, documented.RUN) == []
        assert all(differs(node, documented.NODE_RUN) == [] for node in nodes)
        assert shown["nodes_total"] == len(nodes)
        assert shown["nodes_completed"] == sum(
            state in {"succeeded", "partial_succeeded"} for state in states
        )
        assert shown["nodes_completed"] >= done
        done = shown["nodes_completed"]
        assert states.count("running") == (shown["status_code"] == "running")
        assert set(states) <= ENDED or shown["completed_at"] is None
        assert shown["has_node_runs"]
        assert shown["has_logs"]
        service.later(0.2)

    assert shown["status_code"] == outcome
    assert set(states) <= ENDED


@pytest.mark.parametrize("model", INPUTS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_nodes_fill_the_run_s_time_and_cost_what_it_does(
    serve: Serve, model: str, outcome: str
) -> None:
    service = serve()
    run = create(service, model, outcome=outcome)
    service.later(60)

    shown, nodes = run_of(service, run), part_of(service, run, "node-runs")
    begun = [node for node in nodes if node["started_at"]]

    assert begun[0]["started_at"] == shown["started_at"]
    assert begun[-1]["completed_at"] == shown["completed_at"]
    assert [node["started_at"] for node in begun[1:]] == [
        node["completed_at"] for node in begun[:-1]
    ]
    assert [node["state_code"] for node in nodes[len(begun) :]] == ["skipped"] * (
        len(nodes) - len(begun)
    )
    costs = [Decimal(node["cost"]) for node in nodes if node["cost"] is not None]
    assert sum(costs) == Decimal(shown["cost"] or 0)
    assert bool(costs) == (shown["cost"] is not None)


def test_the_node_that_failed_says_why(serve: Serve) -> None:
    service = serve()
    run = create(service, outcome="failed")
    service.later(60)

    nodes = part_of(service, run, "node-runs")
    [failed] = [node for node in nodes if node["state_code"] == "failed"]

    assert failed["error_message"] == run_of(service, run)["failure_message"]
    assert all(node["error_message"] is None for node in nodes if node is not failed)


def test_a_partial_run_has_lost_an_inner_node_and_its_file(serve: Serve) -> None:
    service = serve()
    run = create(service, outcome="partial_succeeded")
    service.later(60)

    nodes = part_of(service, run, "node-runs")
    files = run_of(service, run)["output"]["outputs"]

    assert [node["state_code"] for node in nodes].count("failed") == 1
    assert nodes[0]["state_code"] == nodes[-1]["state_code"] == "succeeded"
    assert len(files) == len(ELEMENTS) - 1


def test_dyver_removal_answers_every_stage_that_was_chosen_and_the_result(serve: Serve) -> None:
    service = serve()
    run = create(service)
    service.later(60)

    shown, nodes = run_of(service, run), part_of(service, run, "node-runs")
    urls = [file["url"] for file in shown["output"]["outputs"]]
    names = [url.partition("?")[0].rpartition("/")[2] for url in urls]

    assert names == ["tag_removal_0.png", "background_removal_0.png", "result_0.png"]
    assert [
        node["preview_value"] and node["preview_value"].partition("?")[0] for node in nodes
    ] == [
        None,
        *(url.partition("?")[0] for url in urls[:2]),
        urls[0].partition("?")[0],
    ]
    assert len({service.get(url).content for url in urls}) == 3
    assert nodes[-1]["output"].keys() == shown["output"].keys()


def test_models_of_several_steps_have_three_to_seven() -> None:
    counts = {name: steps.count(model, {}) for name, model in MODELS.items()}

    assert {name for name, count in counts.items() if count > 1} == INPUTS.keys() - {ONE}
    assert {count for count in counts.values() if count > 1} <= set(range(3, 8))


def test_a_run_that_was_refused_at_the_door_has_no_nodes(serve: Serve) -> None:
    service = serve()
    batch = service.post([{"image_url": "no URL"}]).json()
    run = service.get(f"/v1/runs/{batch['items'][0]['run_id']}").json()

    assert (run["has_node_runs"], run["nodes_completed"]) == (False, 0)
    assert part_of(service, run, "node-runs") == []
    assert [line["level_code"] for line in part_of(service, run, "logs")] == ["info", "error"]


def test_a_run_that_stays_queued_has_nodes_that_do(serve: Serve) -> None:
    service = serve(faults=["stuck_queued/get+node_runs"])
    run = create(service)
    service.later(60)

    assert run_of(service, run)["nodes_completed"] == 0
    assert {node["state_code"] for node in part_of(service, run, "node-runs")} == {"queued"}


@pytest.mark.parametrize("model", INPUTS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_log_lines_come_in_order_and_stay(serve: Serve, model: str, outcome: str) -> None:
    service = serve()
    run = create(service, model, outcome=outcome, seconds=4.0)
    before: list[Any] = []
    lines: list[Any] = []

    for _ in range(25):
        lines = part_of(service, run, "logs")
        assert lines[: len(before)] == before
        assert all(differs(line, documented.LOG_LINE) == [] for line in lines)
        assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
        before = lines
        service.later(0.2)

    shown = run_of(service, run)
    assert len({line["id"] for line in lines}) == len(lines)
    assert {line["run_id"] for line in lines} == {run["id"]}
    assert (lines[0]["timestamp"], lines[-1]["timestamp"]) == (
        shown["created_at"],
        shown["completed_at"],
    )
    assert lines[-1]["message"].startswith(f"ended: {outcome}")
    levels = {line["level_code"] for line in lines}
    assert levels <= {"debug", "info", "warning", "error"}
    assert ("error" in levels) >= (outcome == "failed")


def test_a_node_that_was_tried_again_says_so_in_both(serve: Serve) -> None:
    service = serve()
    runs = [create(service) for _ in range(20)]
    service.later(60)

    for run in runs:
        tried = [
            node["node_id"] for node in part_of(service, run, "node-runs") if node["retry_count"]
        ]
        warned = part_of(service, run, "logs", q="level_code:warning")
        assert [line["meta"]["node_id"] for line in warned] == tried
    assert part_of(service, "any", "logs", q="level_code:warning")


# -- pages ----------------------------------------------------------------------------------


def paged(service: Service, path: str, limit: int, **params: Any) -> list[Any]:
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.get(path, limit=limit, **params, **cursor).json()
        found += page["items"]
        assert len(page["items"]) <= limit
        assert len(found) < 200, "the pages go round in a circle"
        if page["next"] is None:
            return found
        cursor = {"pq": page["next"]}


@pytest.mark.parametrize("part", ["logs", "node-runs"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_show_each_part_once(serve: Serve, part: str, direction: str) -> None:
    service = serve()
    runs = [create(service, model) for model in (DYVER, ONE, REPLACE)]
    service.later(60)
    order = f"{'timestamp' if part == 'logs' else 'created_at'}:{direction}"
    whole = {run["id"]: part_of(service, run, part) for run in runs}
    every = [each["id"] for run in runs for each in whole[run["id"]]]

    one = paged(service, f"/v1/runs/{runs[0]['id']}/{part}", 2, sort_by=order)
    found = paged(service, f"/v1/runs/any/{part}", 3, sort_by=order)

    turn = slice(None, None, 1 if direction == "asc" else -1)
    assert [each["id"] for each in one] == [each["id"] for each in whole[runs[0]["id"]]][turn]
    assert [each["id"] for each in found] == every[turn]


def test_pages_go_backwards_too(serve: Serve) -> None:
    service = serve()
    run = create(service)
    service.later(60)
    path = f"/v1/runs/{run['id']}/logs"
    first = service.get(path, limit=3).json()
    second = service.get(path, limit=3, pq=first["next"]).json()

    back = service.get(path, limit=3, pq=second["previous"], from_prev=True).json()

    assert back["items"] == first["items"]
    assert back["previous"] is None
    assert first["previous"] is None


def test_parts_are_filtered_and_projected_as_other_lists_are(serve: Serve) -> None:
    service = serve()
    runs = [create(service), create(service, outcome="failed")]
    service.later(60)

    failed = part_of(service, "any", "node-runs", q="state_code.EQ:'failed'", fields="id,run_id")
    lines = part_of(service, "any", "logs", q=f"run_id:{runs[0]['id']} AND level_code:info")

    assert [each["run_id"] for each in failed] == [runs[1]["id"]]
    assert all(each.keys() == {"id", "run_id"} for each in failed)
    assert {line["run_id"] for line in lines} == {runs[0]["id"]}
    for wrong in ({"q": "meta:x"}, {"limit": 0}, {"sort_by": "message"}, {"pq": "x"}):
        assert service.get("/v1/runs/any/logs", **wrong).status_code == 400


def test_one_node_run_is_read_by_its_id(serve: Serve) -> None:
    service = serve()
    run = create(service)
    service.later(60)
    nodes = part_of(service, run, "node-runs")

    for parent in (run["id"], "any"):
        for node in nodes:
            found = service.get(f"/v1/runs/{parent}/node-runs/{node['id']}").json()
            assert found["id"] == node["id"]
    assert service.get(f"/v1/runs/{run['id']}/node-runs/nothing").status_code == 404


def test_another_organisation_has_no_part_of_it(serve: Serve) -> None:
    service = serve()
    run = create(service)
    other = {"Authorization": "Bearer other"}

    for part in ("logs", "node-runs"):
        mine = service.ask("GET", f"/v1/runs/{run['id']}/{part}", headers=other)
        every = service.ask("GET", f"/v1/runs/any/{part}", headers=other)
        assert (mine.status_code, every.json()["items"]) == (404, [])
