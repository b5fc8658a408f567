"""Local files at the service: each content is uploaded once and remembered in the ledger."""

from collections.abc import Mapping
from typing import Any

import anyio
import httpx

from batchrun.ledger.file import Ledger
from batchrun.manifest.grid import Cell, LocalFile
from batchrun.runflow.client import Client


class Uploads:
    """Replaces local files in inputs by what the service knows them as."""

    def __init__(self, client: Client, http: httpx.AsyncClient, ledger: Ledger) -> None:
        self._client = client
        self._http = http
        self._ledger = ledger
        self._turns: dict[str, anyio.Lock] = {}

    async def resolve(self, cell: Cell) -> Mapping[str, Any]:
        """Return the cell's input as it is sent."""
        return {name: await self._sent(value) for name, value in cell.input.items()}

    async def _sent(self, value: Any) -> Any:
        if isinstance(value, LocalFile):
            return await self._reference(value)
        if isinstance(value, Mapping):
            return {name: await self._sent(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [await self._sent(each) for each in value]
        return value

    async def _reference(self, file: LocalFile) -> str:
        raise NotImplementedError
