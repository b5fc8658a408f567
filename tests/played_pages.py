"""Pages of docs/ whose commands are played, so that what they show is what batchrun prints.

    PYTHONPATH=tests python -m played_pages docs/tutorial.md docs/how-to/*.md

writes into each page what its commands print now. A page is played from its top, in one folder:

* A fenced block with a name behind its language (```yaml chairs.yaml) is that file.
* A block `diff` with a name changes lines of that file.
* In a block `console` each line that begins with `$ ` is a command, and below it stands what it
  prints on a terminal, but for the bar. Anything but `batchrun` is called by a shell.
* Below `^C` stands what is printed when the command is interrupted, once all of its runs are sent.
* A line `...` stands for any lines, and a `~` for some of a line: what differs from call to call.
  Where other lines differ, they are written anew around the `...`.

The folder has three pictures in `photos/`, and a virtual environment `.venv` to be called from. The
embedded simulator is the real one, twenty times as fast, and asked twenty times as often.
"""

import io
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

from processes import PATIENCE, environment

from batchrun.cli import main
from batchrun.commands import connection
from batchrun.runflow.ratelimit.pace import Pace
from batchrun.simulator import server
from batchrun.simulator.faults import parse_fault
from batchrun.simulator.settings import Settings

BLOCK: Final = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HOME: Final = "/home/you/pictures"
"""Where a page is played, as the page has it."""

SOONER: Final = "poll: {interval: 50ms}\n"
"""The end of each manifest, as it is played."""

SPEED: Final = 20
PHOTOS: Final = ("chair", "lamp", "stool")


@dataclass
class Step:
    """A command, and what stands below it."""

    command: str
    expected: str


def steps(block: str) -> list[Step]:
    """Return the commands of a `console` block."""
    above, *parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not above, f"no command is above {above!r}"
    return [Step(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def agrees(expected: str, printed: str) -> bool:
    """Say whether *printed* is as a page shows it."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "...\n" else re.escape(line).replace(r"\~", ".*")
        for line in expected.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, printed) is not None


def played(text: str, folder: Path) -> str:
    """Return the page as it is when it shows what its commands print, in the empty *folder*."""
    furnish(folder)

    def replaced(block: re.Match[str]) -> str:
        language, name, body = block.groups()
        if language == "diff":
            edit(folder / name, body)
        elif name is not None:
            write(folder / name, body)
        if language != "console":
            return block[0]
        shown = (f"$ {each.command}\n{_shown(each, folder)}" for each in steps(body))
        return f"```console\n{''.join(shown)}```"

    return BLOCK.sub(replaced, text)


def furnish(folder: Path) -> None:
    """Put there what all pages take for granted."""
    (folder / "photos").mkdir()
    for name in PHOTOS:
        (folder / "photos" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python").chmod(0o755)
    call = shlex.join([sys.executable, "-u", __file__, "--quick"])
    (programs / "batchrun").write_text(f'#!/bin/sh\nexec {call} "$@"\n')
    (programs / "batchrun").chmod(0o755)


def write(path: Path, body: str) -> None:
    """Write a file of a page; of a manifest also that its runs are asked for often."""
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest = path.suffix == ".yaml" and "\nmodels:" in f"\n{body}" and "poll:" not in body
    body = body.replace(HOME, str(path.parent))
    path.write_text(body + SOONER if manifest else body, encoding="utf-8")
    if body.startswith("#!"):
        path.chmod(0o755)


def edit(path: Path, change: str) -> None:
    """Put the lines that begin with `+` in the place of those that begin with `-`."""
    old, new = ("".join(re.findall(rf"^[{sign}](.*\n)", change, re.MULTILINE)) for sign in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has not once {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _shown(step: Step, folder: Path) -> str:
    if step.expected.startswith("^C\n"):
        printed = "^C\n" + _interrupted(step, folder)
    elif re.fullmatch(r"batchrun [^|<>;&$]+", step.command):
        printed = _called(step.command, folder)
    else:
        printed = _by_shell(step.command, folder)
    printed = printed.replace(str(folder), HOME)
    return step.expected if agrees(step.expected, printed) else shortened(printed, step.expected)


def shortened(printed: str, expected: str) -> str:
    """Leave out of what is *printed* what the page leaves out of it: what stands at `...`."""
    lines, shown = printed.splitlines(keepends=True), expected.splitlines(keepends=True)
    if shown.count("...\n") != 1:
        return printed
    above = shown.index("...\n")
    below = len(shown) - above - 1
    return "".join([*lines[:above], "...\n", *lines[len(lines) - below :]])


@contextmanager
def quick(*faults: str) -> Iterator[None]:
    """Let embedded simulators and our own pace hurry; they do wrong what *faults* say."""
    settings = Settings(speed=SPEED, faults=tuple(map(parse_fault, faults)))
    embedded = partial(server.embedded, settings=settings)

    def pace(rate: float, **rest: Any) -> Pace:
        return Pace(rate * SPEED, **rest)

    with (
        mock.patch.object(server, "embedded", embedded),
        mock.patch.object(connection, "Pace", pace),
    ):
        yield


class Terminal(io.TextIOWrapper):
    """Takes what a call prints, as a terminal does."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


def _called(command: str, folder: Path) -> str:
    """Return what a command of batchrun shows on a terminal, called in this process."""
    terminal = Terminal()
    with (
        mock.patch.dict(os.environ, environment()),
        chdir(folder),
        redirect_stdout(terminal),
        redirect_stderr(terminal),
        quick(),
    ):
        main(shlex.split(command, comments=True)[1:])
    return terminal.shown


def _by_shell(command: str, folder: Path) -> str:
    """Return what a line of a shell prints, which finds the same batchrun and Python."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**environment(), "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}", "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout


def _interrupted(step: Step, folder: Path) -> str:
    """Return what a command prints that is interrupted once its runs are sent; none ends."""
    under_way = re.search(r"(\d+) in flight", step.expected)
    assert under_way, f"what `{step.command}` prints says how many runs are in flight"
    before = _submitted(folder)
    ours, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, __file__, "--stuck", *shlex.split(step.command)[1:]],
        cwd=folder,
        env=environment(),
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and _submitted(folder) < before + int(under_way[1]):
            assert time.monotonic() < deadline, f"not {under_way[0]}"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        return _read(ours)


def _read(terminal: int) -> str:
    """Return all that is shown on a terminal until its last program has ended."""
    shown = bytearray()
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):  # EIO is its end
        while read := file.read(65536):
            shown += read
    return shown.decode().replace("\r\n", "\n")


def _submitted(folder: Path) -> int:
    ledgers = folder.rglob("ledger.jsonl")
    return sum(path.read_bytes().count(b'{"type":"submitted"') for path in ledgers)


def _write_pages(names: list[str]) -> None:
    for name in names:
        page = Path(name)
        with TemporaryDirectory() as folder:
            page.write_text(played(page.read_text("utf-8"), Path(folder).resolve()), "utf-8")


if __name__ == "__main__":
    if sys.argv[1] in {"--quick", "--stuck"}:
        with quick(*(["stuck_queued"] if sys.argv[1] == "--stuck" else [])):
            sys.exit(main(sys.argv[2:]))
    _write_pages(sys.argv[1:])
