"""The command itself, called in this process, and the simulator that it talks to."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE

from batchrun.cli import main
from batchrun.ledger.records import AnyRecord, decode


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=PATIENCE) as answer:
        return json.load(answer)


def cease(url: str) -> None:
    """Take all faults away."""
    request = urllib.request.Request(f"{url}/_simulator/faults", method="DELETE")
    urllib.request.urlopen(request, timeout=PATIENCE).close()


def created(url: str) -> int:
    """Return how many requests that create anything have been answered."""
    requests = ask(url, "/_simulator/stats")["requests"]
    return sum(
        count for name, count in requests.items() if name.split()[0] in {"create", "create_batch"}
    )


def asked(url: str) -> int:
    """Return how many requests of any kind have been answered, but for the tests' own."""
    requests = ask(url, "/_simulator/stats")["requests"]
    return sum(count for name, count in requests.items() if not name.startswith("control"))


class Sweep:
    """One manifest in one folder; *call* is a call of the command."""

    def __init__(
        self, folder: Path, url: str, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._folder = folder
        self._url = url
        self._capsys = capsys
        (folder / "m.yaml").write_text(text)

    @property
    def ledger(self) -> Path:
        [ledger] = self._folder.rglob("ledger.jsonl")
        return ledger

    def call(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Return the exit code, the object, and what was said."""
        words = [str(self._folder / "m.yaml"), "--endpoint", self._url, "--json", *options]
        code = main(words)
        shown = self._capsys.readouterr()
        assert len(shown.out.splitlines()) == 1
        report = json.loads(shown.out)
        assert report["exit_code"] == code
        assert report["complete"] == (code in {0, 1})
        assert "Traceback" not in shown.err
        return code, report, shown.err

    def records(self) -> Iterator[AnyRecord]:
        for line in self.ledger.read_bytes().splitlines(keepends=True):
            if (record := decode(line)) is not None:
                yield record
