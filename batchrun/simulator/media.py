"""Assets: the three steps of an upload, and what became of it.

The bytes are counted and hashed; `asset_store` keeps the newest of them.
"""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchrun.simulator import mishaps, paging, views
from batchrun.simulator.api import Api, base_of
from batchrun.simulator.errors import ApiError, invalid

LARGEST: Final = 52_428_800
TYPES: Final = (
    *(f"image/{kind}" for kind in ("png", "jpeg", "webp", "gif", "avif", "heic", "bmp", "tiff")),
    *(f"video/{kind}" for kind in ("mp4", "webm", "quicktime")),
    *(f"audio/{kind}" for kind in ("mpeg", "wav", "x-wav", "mp4", "flac")),
    "application/zip",
    "application/pdf",
    "text/plain",
)


def media_routes(api: Api) -> Sequence[Route]:
    """Return the routes of assets; the bytes are put without the key."""
    media = Media(api)
    confirm = api.guarded("confirm", media.confirm)
    return (
        Route("/v1/asset-uploads", api.guarded("upload", media.upload), methods=["POST"]),
        Route("/v1/asset-uploads/{asset}/confirmations", confirm, methods=["POST"]),
        Route("/v1/assets/types", api.guarded("asset", media.types)),
        Route("/v1/assets/{asset}", api.guarded("asset", media.asset)),
        Route("/uploads/{asset}", api.guarded("put", media.put, public=True), methods=["PUT"]),
        Route("/assets/{asset}", api.guarded("download", media.file, public=True)),
    )


class Media:
    """One method a route."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._world = api.world

    async def upload(self, request: Request, org: str) -> Response:
        body = await self._api.body(request)
        problems = [*_mistakes(body)]
        if problems:
            raise invalid(problems)
        world, asset_id = self._world, str(uuid.uuid4())
        with world.store.transaction():
            row = {
                "id": asset_id,
                "org": org,
                "name": body["filename"],
                "mime_type": body["mime_type"],
                "size": body["size_bytes"],
                "created": world.now(),
            }
            world.store.insert("assets", row)
        url = world.signer.url(base_of(request), f"/uploads/{asset_id}", world.now())
        return self._spoilt("upload", JSONResponse({"asset_id": asset_id, "upload_url": url}, 201))

    async def put(self, request: Request, _org: str) -> Response:
        """Take the bytes, as storage does: by the URL's signature, and by nothing else."""
        world = self._world
        if request.headers.get("Authorization"):
            return Response("<Error><Code>InvalidRequest</Code></Error>", 400)
        if world.faults.strike("upload_expired", "put") or not world.signer.holds(
            request.url.path, request.query_params, world.now()
        ):
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        digest, size, kept = hashlib.sha256(), 0, bytearray()
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
            if size <= world.assets.bound:
                kept += chunk
        with world.store.transaction():
            world.store.write(
                "UPDATE assets SET put_size = ?, put_type = ?, sha256 = ? WHERE id = ?",
                size,
                request.headers.get("Content-Type"),
                digest.hexdigest(),
                request.path_params["asset"],
            )
            if len(kept) == size:
                world.assets.keep(request.path_params["asset"], bytes(kept))
        return self._spoilt("put", Response(status_code=200))

    async def confirm(self, request: Request, org: str) -> Response:
        world = self._world
        row = self._row(request, org)
        if row["confirmed"] is not None:
            raise ApiError(409, "CONFLICT", "Upload is confirmed already")
        if row["put_size"] is None:
            raise ApiError(422, "UPLOAD_INCOMPLETE", "Nothing has been put")
        if (row["put_size"], row["put_type"]) != (row["size"], row["mime_type"]):
            raise ApiError(422, "UPLOAD_MISMATCH", "Size or type is not what was announced")
        with world.store.transaction():
            world.store.write(
                "UPDATE assets SET confirmed = ? WHERE id = ?", world.now(), row["id"]
            )
        shown = JSONResponse(self._shown(request, self._row(request, org)), 201)
        return self._spoilt("confirm", shown)

    async def asset(self, request: Request, org: str) -> Response:
        row = self._row(request, org)
        if not self._world.making.knows_asset(row["id"], org, "asset"):
            raise _unknown()
        return JSONResponse(self._shown(request, row))

    async def file(self, request: Request, _org: str) -> Response:
        """Answer an asset's signed URL with the very bytes, 410 where they are not kept."""
        world, asset_id = self._world, request.path_params["asset"]
        if not world.signer.holds(request.url.path, request.query_params, world.now()):
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        row = world.store.one("SELECT mime_type FROM assets WHERE id = ?", asset_id)
        data = world.assets.data(asset_id)
        if row is None or data is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404 if row is None else 410)
        return Response(data, media_type=row["mime_type"])

    async def types(self, _request: Request, _org: str) -> Response:
        items = [{"mime_type": each} for each in TYPES]
        return JSONResponse(paging.envelope(items, before=None, after=None))

    def _row(self, request: Request, org: str) -> Any:
        asset_id = request.path_params["asset"]
        row = self._world.store.one("SELECT * FROM assets WHERE id = ? AND org = ?", asset_id, org)
        if row is None:
            raise _unknown()
        return row

    def _shown(self, request: Request, row: Any) -> dict[str, Any]:
        world = self._world
        url = world.signer.asset_url(base_of(request), row["id"], world.now())
        return views.asset_object(row, url)

    def _spoilt(self, route: str, whole: Response) -> Response:
        struck = self._world.faults.strike_any("after", route)
        return whole if struck is None else mishaps.after(struck, whole)


def _mistakes(body: Any) -> list[dict[str, Any]]:
    """Return what the documented limits have against the first step of an upload."""
    name, mime, size = (body.get(field) for field in ("filename", "mime_type", "size_bytes"))
    checks = {
        "filename": isinstance(name, str) and 1 <= len(name) <= 500,
        "mime_type": mime in TYPES,
        "size_bytes": type(size) is int and 1 <= size <= LARGEST,
    }
    said = {
        "filename": "expected 1 to 500 characters",
        "mime_type": f"{mime} is not taken; see /v1/assets/types",
        "size_bytes": f"expected 1 to {LARGEST}",
    }
    return [
        {"loc": ["body", field], "msg": said[field], "type": "value_error"}
        for field, good in checks.items()
        if not good
    ]


def _unknown() -> ApiError:
    return ApiError(404, "ASSET_NOT_FOUND", "Asset not found")
