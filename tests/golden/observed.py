"""What the product does, in words that its users see.

This is the only module of the golden tests that knows the product's own names. A name that moves is
followed here; the golden files stay as they are.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from batchrun.base.local_file import LocalFile
from batchrun.cli import main
from batchrun.commands.call import settings_of
from batchrun.commands.run_options import parse
from batchrun.commands.target import Place, locate
from batchrun.errors import ManifestError
from batchrun.ledger.book import Book
from batchrun.ledger.facts import ModelFacts
from batchrun.ledger.file import Ledger, open_ledger
from batchrun.ledger.history import History, LookUp, Rest, Submit, Watch, grant, next_step, standing
from batchrun.ledger.reader import Reader, open_reader
from batchrun.ledger.records import KINDS, AnyRecord, NewerFormatError, decode, encode, starts_group
from batchrun.ledger.scan import intents_of, keys_of, known_ids, was_answered
from batchrun.manifest.file_names import file_name, user_metadata
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest, read_manifest
from batchrun.manifest.manifest import Manifest

ATTEMPTS = 2
"""What the next step of a cell is asked with; the limit is no part of a ledger."""


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the environment be *variables* and no more."""
    with patch.dict(os.environ, variables, clear=True):
        yield


def cells(path: Path, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the cells of the manifest at *path* in its order, points that fold included."""
    manifest = read_manifest(path.read_bytes(), path, variables, kept=True)
    return [
        {
            "alias": cell.alias,
            "model": cell.model,
            "replicate": cell.replicate,
            "key": cell.key,
            "file": file_name(manifest, cell),
            "metadata": user_metadata(manifest, cell),
            "input": _sent(cell.input),
        }
        for cell in expand(manifest)
    ]


def _sent(value: Any) -> Any:
    """Return an input as JSON has it; a local file is its bytes' hash, its place and its type."""
    if isinstance(value, LocalFile):
        return {"$file": value.written, "sha256": value.sha256, "content_type": value.mime}
    if isinstance(value, Mapping):
        return {name: _sent(below) for name, below in value.items()}
    return [_sent(below) for below in value] if isinstance(value, list | tuple) else value


def settings(words: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that a command line comes to; times are seconds, paths are relative to
    the manifest's folder.
    """
    with environment(variables):
        options = parse(words)
        manifest = load_manifest(options.manifest, os.environ)
        endpoint, folder = locate(manifest.head, options.place)
        chosen = settings_of(manifest, options.chosen, options.only)
    beside = options.manifest.absolute().parent
    return {
        "name": manifest.name,
        "endpoint": endpoint,
        "folder": os.path.relpath(folder, beside)
        if folder.is_relative_to(beside.parent)
        else str(folder),
        "label": options.place.label,
        "limits.concurrency": chosen.concurrency,
        "limits.rate": str(chosen.rate),
        "limits.rate, a second": chosen.rate.per_second,
        "limits.attempts": chosen.attempts,
        "limits.timeout": chosen.timeout,
        "limits.settle": chosen.settle,
        "limits.give_up": chosen.give_up,
        "limits.batch": chosen.batch,
        "limits.downloads": chosen.downloads,
        "limits.budget": _money(chosen.budget),
        "limits.budget_per_day": _money(chosen.budget_per_day),
        **(
            {}
            if chosen.confirm_above is None
            else {"limits.confirm_above": _money(chosen.confirm_above)}
        ),
        "poll.interval": chosen.poll_interval,
        **(
            {}
            if chosen.callback_url is None
            else {
                "callbacks.url": chosen.callback_url,
                "callbacks.listen": str(chosen.callback_listen),
            }
        ),
        "outputs.download": chosen.download,
        **({} if chosen.logs == "none" else {"outputs.logs": chosen.logs}),
        "models": _models(manifest, chosen.model_concurrency),
        "--limit": chosen.limit,
        "--max-duration": chosen.max_duration,
        "--only": {name: list(values) for name, values in chosen.only.items()},
        "--retry-failed": chosen.retry_failed,
        "--fail-on, bad cells of 1000 it allows": _allowed(chosen.fail_on),
        "--on-interrupt": "drain" if chosen.drain else "detach",
        "--trust-key": chosen.trust_key,
        "--allow-short": chosen.allow_short,
        "--resubmit-in-doubt": chosen.resubmit_in_doubt,
        **({} if chosen.input_errors == "refuse" else {"limits.input_errors": chosen.input_errors}),
        **({"--new-types": True} if chosen.new_types else {}),
        **({"--new-sweep": list(chosen.set_aside)} if chosen.set_aside else {}),
        **({} if options.recover is None else {"--recover": options.recover}),
        **({} if options.plan is None else {"--plan": str(options.plan)}),
        **({} if not options.reuse else {"--reuse": " ".join(map(str, options.reuse))}),
        "--dry-run": options.dry_run,
        **({"--yes": True} if options.yes else {}),
        "--json": options.json,
        "--quiet": options.quiet,
        "--no-progress": options.no_progress,
        "--verbose": options.verbose,
    }


def _models(manifest: Manifest, concurrency: Mapping[str, int]) -> dict[str, Any]:
    common = manifest.grids[0].repeat if manifest.grids else 1
    return {
        model.alias: {
            "id": model.id,
            "concurrency": concurrency.get(model.alias),
            "repeat": model.repeat or common,
        }
        for model in manifest.models
    }


def _allowed(fail_on: Any) -> int:
    return max(bad for bad in range(1001) if fail_on.allows(bad, 1000))


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def options() -> set[str]:
    """Return the options that `batchrun run --help` names."""
    out = StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        parse(["--help"])
    return set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", out.getvalue(), re.MULTILINE)) - {"--help"}


def loads(path: Path) -> bool:
    """Say whether the manifest at *path* has no problem."""
    try:
        load_manifest(path, {"HOME": "/home"})
    except ManifestError:
        return False
    return True


def folder_of(path: Path, *, endpoint: str, label: str | None) -> Path:
    """Return the folder of the sweep of the manifest at *path*."""
    manifest = load_manifest(path, {})
    _, folder = locate(manifest.head, Place(endpoint=endpoint, label=label))
    return folder


def kinds() -> dict[str, dict[str, bool]]:
    """Return the kinds of ledger lines: each one's fields, and whether a field must be there."""
    return {
        name: {each.encode_name: each.required for each in msgspec.structs.fields(kind)}
        for name, kind in KINDS.items()
    }


def written(fields: Mapping[str, Any]) -> tuple[bytes, bool]:
    """Return the ledger's line of a record with these *fields*, its `type` among them; and whether
    that line is read back as an equal record.
    """
    record: AnyRecord = msgspec.convert(fields, type=KINDS[fields["type"]])
    line = encode(record)
    return line, decode(line) == record


def reading_of(line: bytes) -> Any:
    """Return what a line is read as: its fields, or the word for what else it is."""
    try:
        record = decode(line)
    except NewerFormatError:
        return "refused: a newer format"
    except ValueError:
        return "refused: no line of a ledger"
    return "ignored" if record is None else msgspec.to_builtins(record)


def begins_group(text: bytes) -> bool:
    """Say whether a commit group begins in *text*."""
    return starts_group(text)


def replayed(ledger: Path, scratch: Path) -> dict[str, Any]:
    """Return what the file *ledger* adds up to: its cells, its totals, and where it was cut.

    *scratch* is an empty folder, where a copy of it is opened as a call would open it.
    """
    with open_reader(ledger) as reader:
        lines = _Lines(ledger.read_bytes())
        book, keys = reader.book, list(reader.book.histories)
        found = {key: _cell(key, book.history(key), reader, lines) for key in sorted(keys)}
        totals = _totals(book)
        torn = reader.torn
    copy = scratch / ledger.name  # it is cut
    shutil.copyfile(ledger, copy)
    with open_ledger(scratch) as opened:
        assert {key: opened.book.history(key) for key in keys} == {
            key: book.history(key) for key in keys
        }
        waves = {ref: _wave(ref, opened) for ref in lines.waves()}
        ids = known_ids(opened.path, lines.run_ids() | {"no such run"})
    return {
        "bytes": copy.stat().st_size,
        "torn bytes": torn,
        "cells": found,
        "totals": totals,
        "waves": waves,
        "run ids found in the file": len(ids),
    }


class _Lines:
    """The lines of a ledger as text, beside the product's own reading of them."""

    def __init__(self, data: bytes) -> None:
        self._begins: dict[int, int] = {}
        self._whole: list[dict[str, Any]] = []
        offset = 0
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            self._begins[offset] = number
            offset += len(line)
            if line.endswith(b"\n"):
                self._whole.append(json.loads(line))

    def number(self, offset: int) -> int | None:
        """Return the number, from 1, of the line at *offset*; None for no line."""
        return None if offset < 0 else self._begins[offset]

    def waves(self) -> list[str]:
        return sorted({line["client_ref"] for line in self._whole if line["type"] == "intent"})

    def run_ids(self) -> set[str]:
        return {line["run_id"] for line in self._whole if "run_id" in line}


def _cell(key: str, history: History, reader: Reader, lines: _Lines) -> dict[str, Any]:
    granted = grant(history, attempts=ATTEMPTS)
    intent = reader.read(history.intent_line) if history.intent_line >= 0 else None
    return {
        "state": str(history.state),
        "counts as": str(standing(history, attempts=ATTEMPTS)),
        "attempt": history.attempt,
        "ended badly": history.failures,
        "run_id": history.run_id,
        "next": _step(next_step(history, attempts=ATTEMPTS)),
        "next, --attempts 1": _step(next_step(history, attempts=1)),
        "next, --retry-failed": _step(next_step(history, attempts=ATTEMPTS, granted=granted)),
        "parked": history.parked,
        "saved": history.saved,
        "alias": history.alias,
        "model": history.model,
        "client_ref": history.client_ref,
        "idempotency_key": getattr(intent, "idempotency_key", None),
        "lines": {
            "intent": lines.number(history.intent_line),
            "input": lines.number(history.input_line),
            "ended": lines.number(history.ended_line),
            "saved": lines.number(history.saved_line),
            "parked": lines.number(history.parked_line),
        },
    }


def _step(step: Submit | LookUp | Watch | Rest) -> str:
    match step:
        case Submit(attempt=number):
            return f"attempt {number}"
        case LookUp():
            return "look up"
        case Watch():
            return "watch"
        case Rest():
            return "rest"


def _totals(book: Book) -> dict[str, Any]:
    return {
        "sweep": None if book.sweep is None else msgspec.to_builtins(book.sweep),
        "cost": str(book.cost),
        "cost by alias": {alias: str(cost) for alias, cost in sorted(book.spent.items())},
        "models": {model: _model(book, model) for model in sorted(_models_of(book))},
        "extra runs": {run: _money(cost) for run, cost in sorted(book.extra_runs.items())},
        "extra runs without a cost": sorted(book.unpriced_duplicates),
        "last wave": book.last_wave,
        "waves owed a last look": dict(sorted(book.doubted.items())),
        "newest wave by model": dict(sorted(book.filling.items())),
        "newest batch by model": dict(sorted(book.batches.items())),
        "newest run": None if book.newest is None else [book.newest.run_id, book.newest.client_ref],
        "open cells": sorted(book.open),
        "uploads": {
            sha256: [each.asset_id, each.reference] for sha256, each in sorted(book.uploads.items())
        },
    }


def _models_of(book: Book) -> set[str]:
    return {*book.models, *(model for model in book.learnt if model is not None)}


def _model(book: Book, model: str) -> dict[str, Any]:
    facts, learnt = book.models.get(model, ModelFacts()), book.learnt.get(model)
    return {
        "runs": facts.runs,
        "cost": str(facts.cost),
        "dearest": _money(facts.max_cost),
        "runs without a cost": facts.unpriced.runs,
        "runs without a cost or a reserve": facts.unpriced.unreserved,
        "reserved for runs without a cost": str(facts.unpriced.reserved),
        "takes batches": None if learnt is None else learnt.batches,
        "seconds": [round(seconds, 6) for seconds in facts.durations],
    }


def _wave(client_ref: str, ledger: Ledger) -> dict[str, Any]:
    return {
        "intents": len(intents_of(ledger.path, client_ref)),
        "keys": len(keys_of(ledger.path, client_ref)),
        "has an answer": was_answered(ledger.path, client_ref),
    }


def status(words: Sequence[str]) -> dict[str, Any]:
    """Return the object that `batchrun status` prints; it must end with 0."""
    out = StringIO()
    with environment({}), redirect_stdout(out):
        code = main(["status", *words, "--json"])
    assert code == 0, out.getvalue()
    shown: dict[str, Any] = json.loads(out.getvalue())
    return shown
