from batchrun import errors as errors
from batchrun.python.calls import load as load
from batchrun.python.calls import plan as plan
from batchrun.python.calls import read_ledger as read_ledger
from batchrun.python.calls import run as run
from batchrun.python.calls import run_async as run_async
from batchrun.python.calls import stream as stream
from batchrun.python.loading import Manifest as Manifest
from batchrun.python.reading import LedgerView as LedgerView
from batchrun.python.streaming import Stream as Stream
from batchrun.python.values import End as End
from batchrun.python.values import ModelPlan as ModelPlan
from batchrun.python.values import Plan as Plan
from batchrun.results.result import Result as Result

__all__ = [
    "End",
    "LedgerView",
    "Manifest",
    "ModelPlan",
    "Plan",
    "Result",
    "Stream",
    "__version__",
    "errors",
    "load",
    "plan",
    "read_ledger",
    "run",
    "run_async",
    "stream",
]

__version__: str
