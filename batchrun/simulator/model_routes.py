"""The routes that show models: lists, one model, its inputs and examples, and who makes it."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import model_views, paging
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.catalog import Model
from batchrun.simulator.errors import ApiError
from batchrun.simulator.shapes import PIXEL, PNG

FIELDS: Final = frozenset({"id", "slug", "name", "category_code", "status_code"})
ANY: Final = "any"
PART: Final = "/v1/models/{model:path}"


def model_routes(api: Api) -> Sequence[Route]:
    """Return the routes of models; that of one model is last, as an id has many segments."""
    models = Models(api)
    public = api.guarded("public_models", models.public_models, public=True)
    example = api.guarded("download", models.example_file, public=True)
    return (
        Route("/v1/public/models", public),
        Route("/v1/models", api.guarded("models", models.models)),
        Route("/v1/model-creators/{creator}", api.guarded("model", models.creator)),
        Route(f"{PART}/inputs/{{part}}", api.guarded("model", models.input)),
        Route(f"{PART}/examples/{{part}}", api.guarded("model", models.example)),
        Route(PART, api.guarded("model", models.model)),
        Route("/examples/{name}", example),
    )


class Models:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def models(self, request: Request, _org: str) -> Response:
        return self._models(request, "models")

    async def public_models(self, request: Request, _org: str) -> Response:
        return self._models(request, "public_models")

    def _models(self, request: Request, route: str) -> Response:
        asked = self._api.asked(request, FIELDS, "slug", descending=False)
        shown = [model_views.model_object(model) for model in self._world.models.values()]
        concept_names = self._world.faults.strike("next_pq", route) is not None
        page = paging.cut(shown, self._api.capped(asked, route), concept_names=concept_names)
        return JSONResponse(self._api.ended(page, route))

    async def model(self, request: Request, _org: str) -> Response:
        return JSONResponse(model_views.model_object(self._api.model_of(request)))

    async def input(self, request: Request, _org: str) -> Response:
        found = (each for model in self._named(request) for each in model_views.inputs(model))
        return _one(request, found, "MODEL_INPUT_NOT_FOUND")

    async def example(self, request: Request, _org: str) -> Response:
        """Answer a model's only example; no document says where its id is found."""
        base_url = base_of(request)
        found = (model_views.example(model, base_url) for model in self._named(request))
        return _one(request, found, "MODEL_EXAMPLE_NOT_FOUND")

    async def example_file(self, _request: Request, _org: str) -> Response:
        return Response(PIXEL, media_type=PNG.content_type)

    async def creator(self, request: Request, _org: str) -> Response:
        owners = dict.fromkeys(model.id.partition("/")[0] for model in self._all())
        found = map(model_views.creator, owners)
        return _one(request, found, "MODEL_CREATOR_NOT_FOUND", named="creator")

    def _named(self, request: Request) -> Iterable[Model]:
        """Return the model that the path names by its id or its slug, or all of them for `any`."""
        name = request.path_params["model"]
        if name == ANY:
            return self._all()
        return [model for model in self._all() if name in {model.id, model_views.model_id(model)}]

    def _all(self) -> Iterable[Model]:
        return self._world.models.values()


def _one(
    request: Request, found: Iterable[dict[str, Any]], code: str, *, named: str = "part"
) -> Response:
    wanted = request.path_params[named]
    for each in found:
        if each["id"] == wanted:
            return JSONResponse(each)
    raise ApiError(404, code, "Not found")
