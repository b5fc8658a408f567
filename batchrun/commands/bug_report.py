"""Writes down what went wrong where nothing was expected to: a file to report, without secrets."""

import os
import platform
import re
import tempfile
import traceback

from batchrun import __version__
from batchrun.runflow.redact import HIDDEN, Redacted


def write_traceback(error: Exception) -> str:
    """Return the path of a file that holds the versions and the traceback of *error*."""
    text = "\n".join(
        [
            f"batchrun {__version__}, Python {platform.python_version()}, {platform.platform()}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="batchrun-bug-", suffix=".log", delete=False
    ) as file:
        file.write(without_key(text))
    return file.name


def without_key(text: str) -> str:
    """Return *text* with the key and the secrets taken out, however short and however spelled."""
    secrets = re.split(r"[\s,]+", os.environ.get("RUNFLOW_WEBHOOK_SECRET", ""))
    for secret in filter(None, (os.environ.get("RUNFLOW_API_KEY", "").strip(), *secrets)):
        text = Redacted(secret).text(text).replace(secret, HIDDEN)
    return text
