"""The simulator's models: what they take, and what a run of each choice costs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import anyio
import httpx
import pytest
from simulated import BEGINNING

from batchrun.simulator import prices
from batchrun.simulator.catalog import Input, Model
from batchrun.simulator.checks import mistakes
from batchrun.simulator.faults import fault_from_json, parse_fault
from batchrun.simulator.model_views import model_object
from batchrun.simulator.models import MODELS
from batchrun.simulator.settings import Settings
from batchrun.simulator.transport import SimulatedTransport, loop_clock
from batchrun.simulator.world import World

GPT: Final = "openai/gpt-image-1.5"
BANANA: Final = "google/nano-banana-2"
SEEDANCE: Final = "bytedance/seedance/2.0/text-to-video"
KLING: Final = "kuaishou/kling-video/v3/pro/text-to-video"
VEO: Final = "google/veo3.1"
HORSE: Final = "alibaba/happy-horse"
FLUX: Final = "black-forest-labs/flux-2-klein"
LONGER: Final = 100.0
"""Seconds after which each run has ended."""

PUBLIC: Final[Mapping[str, str]] = {
    "runflow/background-color": "0.12",
    "runflow/smart-resize": "0.55",
    "runflow/product-isolation": "0.27",
    "runflow/tag-removal": "0.14",
    "runflow/background-replace": "0.35",
    "google/nano-banana-pro": "0.15",
    "google/nano-banana-pro/edit": "0.15",
    BANANA: "0.08",
    "google/nano-banana-2/edit": "0.08",
    GPT: "0.133",
    "openai/gpt-image-2": "0.133",
    "openai/gpt-image-2/edit": "0.133",
    "bria/background/remove": "0.018",
}
"""What a run costs that has only the defaults, by sections 13 and 16 of the fact sheet."""


@pytest.mark.parametrize("model", PUBLIC)
def test_the_defaults_cost_the_base_price_that_is_public(model: str) -> None:
    assert prices.price(MODELS[model], {}) == Decimal(PUBLIC[model])


@pytest.mark.parametrize(
    ("model", "values", "cost"),
    [
        *[
            (GPT, {"quality": quality, "image_size": size}, cost)
            for quality, costs in {
                "low": ("0.009", "0.013", "0.013"),
                "medium": ("0.034", "0.051", "0.050"),
                "high": ("0.133", "0.200", "0.199"),
            }.items()
            for size, cost in zip(("1024x1024", "1024x1536", "1536x1024"), costs, strict=True)
        ],
        (GPT, {"quality": "low"}, "0.009"),
        (GPT, {"quality": "low", "image_size": "auto"}, "0.009"),
        (GPT, {"image_size": "1536x1024", "num_images": 3}, "0.597"),
        (BANANA, {"enable_web_search": True}, "0.095"),
        (BANANA, {"thinking_level": "high", "enable_web_search": True}, "0.097"),
        (BANANA, {"thinking_level": "minimal", "resolution": "1K"}, "0.08"),
        (BANANA, {"thinking_level": "high", "num_images": 4}, "0.328"),
        (SEEDANCE, {"duration": "10", "resolution": "720p"}, "3.034"),
        (SEEDANCE, {"duration": "10", "generate_audio": False}, "3.034"),
        (SEEDANCE, {"duration": "auto"}, "1.517"),
        (KLING, {"duration": "3", "generate_audio": False}, "0.336"),
        (KLING, {"generate_audio": False}, "0.56"),
        (VEO, {"duration": "8s", "generate_audio": False}, "1.6"),
        (HORSE, {"duration": 7}, "0.98"),
        (FLUX, {"image_size": "1536x1024", "num_images": 2}, "0.0785"),
        (FLUX, {}, "0.02625"),
    ],
)
def test_a_price_follows_the_inputs(model: str, values: dict[str, Any], cost: str) -> None:
    assert prices.price(MODELS[model], values) == Decimal(cost)


@pytest.mark.parametrize(
    ("model", "less", "more"),
    [
        (BANANA, {"resolution": "0.5K"}, {"resolution": "1K"}),
        (BANANA, {"resolution": "1K"}, {"resolution": "2K"}),
        (BANANA, {"resolution": "2K"}, {"resolution": "4K"}),
        (SEEDANCE, {"resolution": "480p"}, {"resolution": "720p"}),
        (SEEDANCE, {"resolution": "720p"}, {"resolution": "1080p"}),
        (KLING, {"generate_audio": False}, {"generate_audio": True}),
        (VEO, {"generate_audio": False}, {"generate_audio": True}),
        (HORSE, {"resolution": "720p"}, {"resolution": "1080p"}),
    ],
)
def test_what_has_no_public_price_costs_more_or_less_than_what_has_one(
    model: str, less: dict[str, Any], more: dict[str, Any]
) -> None:
    assert prices.price(MODELS[model], less) < prices.price(MODELS[model], more)
    assert "price" in MODELS[model].made_up


@pytest.mark.parametrize(
    ("outcome", "cost"),
    [("succeeded", "0.32"), ("partial_succeeded", "0.16"), ("canceled", "0.32"), ("failed", None)],
)
def test_a_run_is_charged_for_the_images_that_landed(outcome: str, cost: str | None) -> None:
    shown = prices.breakdown(MODELS[BANANA], {"num_images": 4}, outcome)

    charged = prices.charged(MODELS[BANANA], {"num_images": 4}, outcome)
    assert charged == (None if cost is None else Decimal(cost))
    assert (None if shown is None else shown["total"]) == cost


def input_of(model: str, name: str) -> Input:
    return next(each for each in MODELS[model].inputs if each.name == name)


def test_the_ratios_and_durations_are_those_of_the_documents() -> None:
    ratios = {"auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"}
    for name in ("text-to-video", "fast/text-to-video", "image-to-video"):
        model = f"bytedance/seedance/2.0/{name}"
        assert set(input_of(model, "aspect_ratio").enum or ()) == ratios
        assert input_of(model, "duration").enum == ("auto", *map(str, range(4, 16)))
    assert "8s" in (input_of(VEO, "duration").enum or ())
    assert (input_of(HORSE, "duration").type, input_of(HORSE, "duration").default) == ("integer", 5)
    resize = input_of("runflow/smart-resize", "aspect_ratio").enum or ()
    assert len(resize) == 10
    assert {each.name for each in MODELS["google/nano-banana-2/edit"].inputs} >= {
        *("prompt", "image_urls", "aspect_ratio", "resolution", "num_images", "output_format"),
        *("safety_tolerance", "limit_generations"),
    }


def test_the_service_may_take_more_than_the_list_of_its_description() -> None:
    [shown] = [each for each in model_object(MODELS[GPT])["inputs"] if each["name"] == "image_size"]

    assert shown["validator_attrs"] == {"enum": ["1024x1024", "1024x1536", "1536x1024"]}
    assert "auto" in shown["description"]
    assert mistakes(MODELS[GPT], {"prompt": "a kite", "image_size": "auto"}, ()) == []
    assert mistakes(MODELS[GPT], {"prompt": "a kite", "image_size": "64x64"}, ()) != []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("float", 0.5, "0.5"), ("file", "https://host.example/a.safetensors", "a.safetensors")],
)
def test_inputs_of_workflows_may_be_floats_and_files(kind: str, good: Any, bad: Any) -> None:
    model = Model(id="a/b", inputs=(Input(name="given", type=kind),), price=Decimal(1))

    assert mistakes(model, {"given": good}, ()) == []
    assert mistakes(model, {"given": bad}, ()) != []


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_default_is_a_value_that_the_model_takes(model: Model) -> None:
    required = [each.name for each in model.inputs if each.required]
    wrong = mistakes(model, model.defaults, ())

    assert [each["loc"][-1] for each in wrong if each["loc"]] == required
    assert set(model.defaults) <= {each.name for each in model.inputs}
    assert {name for rule in model.rules for name in rule.when} <= {
        each.name for each in model.inputs
    }


def test_the_notes_on_prices_are_prose_for_most_models() -> None:
    notes = {model: str(model_object(MODELS[model])["pricing_note"]) for model in MODELS}
    labels = {model for model, note in notes.items() if "/" in note}

    assert labels == {"runflow/background-color", "bria/background/remove"}
    assert notes["bria/background/remove"] == "$0.018/request"
    assert {"~25 runs per $1", "Per megapixel", "Without audio"} <= {*notes.values()}


def test_made_up_figures_are_said_to_be() -> None:
    made_up = [model for model in MODELS if "made up" in model_object(MODELS[model])["description"]]

    assert "topaz/upscale/image" in made_up
    assert "runflow/smart-resize" not in made_up


# -- as it is served ----------------------------------------------------------------------------


def service(*faults: str, **settings: Any) -> World:
    chosen = Settings(drawing=False, faults=tuple(map(parse_fault, faults)), **settings)
    return World(None, settings=chosen, clock=loop_clock(BEGINNING.timestamp()))


def client(world: World, **headers: str) -> httpx.AsyncClient:
    url = "https://simulated.example"
    return httpx.AsyncClient(transport=SimulatedTransport(world), base_url=url, headers=headers)


KEY: Final = {"Authorization": "Bearer key"}


async def post(http: httpx.AsyncClient, model: str, **values: Any) -> httpx.Response:
    body = {"input": {"prompt": "a red kite", **values}}
    return await http.post(f"/v1/models/{model}/runs", json=body)


async def test_the_balance_falls_by_what_each_run_says_that_it_cost() -> None:
    async with client(service(balance=Decimal("1.00")), **KEY) as http:
        made = [
            await post(http, GPT, quality="low", num_images=2),
            await post(http, BANANA, resolution="4K", enable_web_search=True),
            await post(http, BANANA, prompt="fail"),
        ]
        before = (await http.get("/v1/billing/balance")).json()["balance"]
        await anyio.sleep(LONGER)
        runs = [(await http.get(f"/v1/runs/{run.json()['id']}")).json() for run in made]
        after = (await http.get("/v1/billing/balance")).json()["balance"]

    assert (before, after) == ("1.00", "0.807")
    assert [run["cost"] for run in runs] == ["0.018", "0.175", None]
    assert runs[0]["cost_breakdown"] == {
        "unit": "image",
        "unit_price": "0.009",
        "units": "2",
        "total": "0.018",
    }
    assert runs[2]["cost_breakdown"] is None


async def test_a_run_that_may_cost_more_than_is_left_is_refused_and_a_cheaper_one_is_not() -> None:
    async with client(service(balance=Decimal("0.10")), **KEY) as http:
        statuses = [
            (await post(http, GPT, quality=quality)).status_code
            for quality in ("high", "medium", "low", "high")
        ]

    assert statuses == [402, 201, 201, 402]


async def test_a_batch_is_admitted_by_what_all_of_it_may_cost() -> None:
    items = [{"prompt": "a kite", "resolution": size} for size in ("1K", "4K")]  # 0.08, 0.16
    world = service(balance=Decimal("0.23"), batches="all")
    async with client(world, **KEY) as http:
        path = f"/v1/models/{BANANA}/batches"
        both = await http.post(path, json={"input": items})
        cheap = await http.post(path, json={"input": [items[0], items[0]]})

    assert (both.status_code, both.json()["code"]) == (402, "INSUFFICIENT_CREDITS")
    assert cheap.status_code == 201


async def test_a_fault_of_one_model_leaves_the_others_alone() -> None:
    async with client(service(f"no_credit@2+~{GPT}"), **KEY) as http:
        statuses = [
            (await post(http, model)).status_code for model in (BANANA, GPT, BANANA, GPT, BANANA)
        ]

    assert statuses == [201, 201, 201, 402, 201]


async def test_a_fault_of_runs_may_be_one_models() -> None:
    async with client(service(f"stuck_queued~{GPT}"), **KEY) as http:
        made = [(await post(http, model)).json()["id"] for model in (BANANA, GPT)]
        await anyio.sleep(LONGER)
        shown = [(await http.get(f"/v1/runs/{run}")).json()["status_code"] for run in made]

    assert shown == ["succeeded", "queued"]


def test_the_model_of_a_fault_is_read_from_text_and_from_json() -> None:
    text = f"error_before=422@1-10/create~{BANANA}"
    spoken = {"name": "error_before", "value": 422, "calls": "1-10", "routes": ["create"]}

    fault = parse_fault(text)

    assert fault.model == BANANA
    assert fault == fault_from_json({**spoken, "model": BANANA}) == fault_from_json(fault.as_json())


@pytest.mark.parametrize("spoken", ["no_credit~", "no_credit~a b", {"name": "slow", "model": 5}])
def test_a_fault_of_what_is_no_model_is_refused(spoken: Any) -> None:
    with pytest.raises(ValueError, match="expected a"):
        fault_from_json(spoken)


async def all_models(http: httpx.AsyncClient, path: str) -> list[int]:
    """Return how many models each page has, to the last one."""
    sizes: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "10", **({"pq": cursor} if cursor else {})}
        page = (await http.get(path, params=params)).json()
        sizes.append(len(page["items"]))
        cursor = page["next"]
    return sizes


async def test_models_are_listed_in_pages_and_the_public_ones_without_a_key() -> None:
    world = service()
    async with client(world, **KEY) as known, client(world) as stranger:
        mine = await all_models(known, "/v1/models")
        public = await all_models(stranger, "/v1/public/models")
        refused = await stranger.get("/v1/models")

    assert sum(mine) == sum(public) == len(MODELS)
    assert max(mine) == 10
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("fault", "path", "length"),
    [
        ("page_cap=7", "/v1/models", 7),
        ("list_ends=4/models", "/v1/models", 4),
        ("list_ends=4/models", "/v1/public/models", len(MODELS)),
    ],
)
async def test_a_list_of_models_may_come_in_smaller_pages_or_end_early(
    fault: str, path: str, length: int
) -> None:
    async with client(service(fault), **KEY) as http:
        page = (await http.get(path, params={"limit": 500})).json()

    assert len(page["items"]) == length
    assert (page["next"] is None) == ("page_cap" not in fault)


async def test_a_name_without_an_owner_is_a_405() -> None:
    async with client(service(), **KEY) as http:
        statuses = [
            (await http.get("/v1/models/nano-banana-2")).status_code,
            (await post(http, "nano-banana-2")).status_code,
            (await http.get("/v1/models/google/nano-banana-3")).status_code,
        ]

    assert statuses == [405, 405, 404]
