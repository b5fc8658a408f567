"""Services whose lists don't tell all that they could."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import httpx
from fake_runflow import FakeRun, FakeRunflow


@dataclass(kw_only=True)
class Terse(FakeRunflow):
    """Its lists leave fields out; with *everywhere* its answers by id do, too."""

    left_out: Sequence[str] = ()
    everywhere: bool = False

    def _page(self, runs: Sequence[FakeRun], params: httpx.QueryParams) -> httpx.Response:
        page = json.loads(super()._page(runs, params).content)
        for item in page["items"]:
            for name in self.left_out:
                item.pop(name, None)
        return self._json(200, page)

    def _get(self, run_id: str) -> httpx.Response:
        answer = super()._get(run_id)
        if not self.everywhere or answer.status_code != 200:
            return answer
        body = {k: v for k, v in json.loads(answer.content).items() if k not in self.left_out}
        return self._json(200, body)


@dataclass(kw_only=True)
class Crowd(FakeRunflow):
    """The newest runs of the organisation are always others': a whole page of them."""

    def _page(self, runs: Sequence[FakeRun], params: httpx.QueryParams) -> httpx.Response:
        if "q" not in params:
            now = anyio.current_time()
            other = FakeRun(
                id="other",
                model="a/b",
                body={"client_ref": "br1.other.1", "metadata": {}},
                key="",
                created=now,
                listed=now,
                ends=now,
                status="failed",
            )
            runs = [other] * int(params.get("limit", "50")) + list(runs)
        return super()._page(runs, params)


@dataclass(kw_only=True)
class Undated(FakeRunflow):
    """Its answers say what time it is only where they are *dated*."""

    dated: bool = False

    async def answer(self, request: httpx.Request) -> httpx.Response:
        answer = await super().answer(request)
        if not self.dated:
            answer.headers.pop("Date", None)
        return answer
