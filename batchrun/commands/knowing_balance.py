"""The account's balance, for a plan: asked for where there is a key, and done without elsewhere."""

from decimal import Decimal
from typing import Final

import anyio
from msgspec.structs import replace

from batchrun.base.endpoint import SIMULATOR
from batchrun.commands.call import Call, key_of
from batchrun.commands.connection import connected
from batchrun.commands.questions import answered
from batchrun.errors import BatchrunError
from batchrun.settings import Settings

PATIENCE: Final = 5.0
"""Seconds that a plan waits for the balance."""


def know_balance(call: Call) -> Decimal | None:
    """Return the balance in USD, None where it can't be had.

    The embedded simulator charges nothing; its balance is of no use to a plan.
    """
    key = key_of(call.endpoint)
    if key is None or call.endpoint == SIMULATOR:
        return None
    try:
        return answered(_asked, call.endpoint, key, call.settings)
    except BatchrunError:
        return None


async def _asked(url: str, key: str, settings: Settings) -> Decimal | None:
    patient = replace(settings, give_up=min(settings.give_up, PATIENCE))
    with anyio.move_on_after(PATIENCE):
        async with connected(url, key, patient, log=lambda _: None) as client:
            return await client.balance()
    return None
