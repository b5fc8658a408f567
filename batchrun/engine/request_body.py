"""One request: its intents and its bytes, and the same bytes again from the ledger alone.

One attempt is asked for as a run, several as a batch. The intents of a batch are written together,
each with its place; what they carry of the metadata is what they have in common, and the cells are
put in from the intents themselves.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from batchrun.engine.context import Context
from batchrun.engine.in_flight import Attempt
from batchrun.engine.run_tag import Redone, RunTag, tagged, with_cells, written
from batchrun.ledger.history import NOWHERE
from batchrun.ledger.records import Intent, timestamp
from batchrun.manifest.cells import Cell
from batchrun.manifest.file_names import user_metadata
from batchrun.runflow.batches import batch_body
from batchrun.runflow.wire import run_body

MetadataOf = Callable[[Cell], Mapping[str, Any]]
"""The user's metadata for a cell."""


class Intents:
    """Makes the intents of attempts that share a request, and makes the request from intents."""

    def __init__(self, context: Context) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._identity = context.folder.tag
        self._callback_url = context.settings.callback_url
        self.metadata_of: MetadataOf = partial(user_metadata, context.manifest)

    def of(self, attempt: Attempt) -> Intent:
        """Return the intent of an attempt as the ledger has it, with the input that was sent."""
        history = self._ledger.book.histories[attempt.key]
        record = self._ledger.read(history.intent_line)
        assert isinstance(record, Intent)
        return record

    def last_input(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """Return the input that the cell's last intent with one carried; None before the first."""
        line = self._ledger.book.history(attempt.key).input_line
        if line == NOWHERE:
            return None
        record = self._ledger.read(line)
        assert isinstance(record, Intent)
        return record.input

    def first(
        self, attempts: Sequence[Attempt], sent: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Intent], bytes]:
        """Return the lines and the body for the inputs *sent*, one for each of *attempts*."""
        metadata, callback_url = self._metadata(attempts), self._callback_url
        body = _body(attempts, sent, metadata, callback_url)
        digest = hashlib.sha256(body).hexdigest()
        server_at = None if (at := self._client.server_time) is None else timestamp(at)
        shared = _shared(attempts)
        for attempt in attempts:
            attempt.callback_url = callback_url
        intents = [
            Intent(
                cell=attempt.key,
                attempt=attempt.number,
                model=attempt.model,
                alias=attempt.alias,
                client_ref=attempt.client_ref,
                idempotency_key=attempt.idempotency_key,
                body_sha256=digest,
                name=attempt.name,
                metadata=metadata,
                reserved=attempt.reserved,
                server_at=server_at,
                batch=attempt.client_ref if shared else None,
                size=len(attempts) if shared else None,
                index=attempt.index,
                callback_url=callback_url,
                **self._input(attempt, given),
            )
            for attempt, given in zip(attempts, sent, strict=True)
        ]
        return intents, body

    def _input(self, attempt: Attempt, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields of an intent that say what is sent: none where they are the last ones.

        Two descriptions may take one value as two types, and true is not 1.
        """
        if (last := self.last_input(attempt)) == given and _types(last) == _types(given):
            return {}
        keyed = None if attempt.cell is None else attempt.cell.keyed
        return {"input": given, "keyed": keyed or None}

    def again(self, attempts: Sequence[Attempt]) -> bytes | None:
        """Return the body that *attempts* were sent with; None where it can't be rebuilt."""
        intent = self.of(attempts[0])
        sent = [self.last_input(attempt) or {} for attempt in attempts]
        body = _body(attempts, sent, intent.metadata, intent.callback_url)
        return body if hashlib.sha256(body).hexdigest() == intent.body_sha256 else None

    def _metadata(self, attempts: Sequence[Attempt]) -> dict[str, Any]:
        first = attempts[0]
        assert first.cell is not None
        identity = self._identity
        cells = [attempt.cell for attempt in attempts if attempt.cell is not None]
        made = {Redone(cell.replicate, cell.redo_of) for cell in cells if cell.redo_of is not None}
        redo = tuple(sorted(made))
        if _shared(attempts):
            tag = {**identity, "key": first.idempotency_key}
            tag |= {"redo": written(redo)} if redo else {}
        else:
            tag = tagged(identity, RunTag(first.key, first.number, first.idempotency_key, redo))
        return {**self.metadata_of(first.cell), "batchrun": tag}


def _types(value: Mapping[str, Any] | None) -> list[type]:
    return [type(each) for each in (value or {}).values()]


def _shared(attempts: Sequence[Attempt]) -> bool:
    return attempts[0].index is not None


def _body(
    attempts: Sequence[Attempt],
    sent: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Any],
    callback_url: str | None,
) -> bytes:
    ref = attempts[0].client_ref
    if not _shared(attempts):
        return run_body(sent[0], client_ref=ref, metadata=metadata, callback_url=callback_url)
    tags = [RunTag(attempt.key, attempt.number, attempt.idempotency_key) for attempt in attempts]
    shared = with_cells(metadata, tags)
    return batch_body(sent, client_ref=ref, metadata=shared, callback_url=callback_url)
