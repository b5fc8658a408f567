"""`python -m batchrun` is `batchrun`."""

from batchrun.cli import entry

entry()
