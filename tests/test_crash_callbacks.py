"""The crash matrix with callbacks: killed at each boundary of a call that hears of ends.

A callback that came before the kill is gone with the process; the service sends those again that
nobody took. The verdict is that of the matrix without callbacks.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import pytest
from calling_back import SECRET, URL, Door, Way, lost, straight
from engine_world import World
from test_crash_virtual import BATCH_TEXT, TEXT, Case, Kind, play_all

from batchrun.engine.run import Runner
from batchrun.engine.shutdown import Shutdown
from batchrun.receiver.app import App
from batchrun.settings import Settings
from batchrun.simulator.caller import Caller

CALLBACKS = f"callbacks: {{url: {URL}}}\n"
pytestmark = pytest.mark.timeout(900)
