"""A connection's bytes under asyncio, where nobody reads them yet."""

import anyio
import httpx
import pytest
from raw_server import raw_server

from batchrun.runflow.http import asyncio_stream

LARGE = b"x" * 20_000_000


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_nobody_reads_yet_is_left_with_the_peer() -> None:
    with raw_server([LARGE, "hang"]) as server:
        stream = await asyncio_stream.connect(
            "127.0.0.1", httpx.URL(server.url).port or 0, None, 60.0
        )
        while not stream._received:
            await anyio.sleep(0.01)
        await anyio.sleep(0.3)
        waiting = len(stream._received)
        come = 0
        while come < len(LARGE):
            come += len(await stream.read(65536, 60.0))
        await stream.aclose()

    assert 0 < waiting < len(LARGE) / 10
