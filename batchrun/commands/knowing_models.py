"""Descriptions of the models that a call sends cells to: from the cache, else from the service.

A fresh description is used as it is. The others are asked for once, side by side, and kept. Where
that can't be had, an older one is used, and its age is said. A description that is missing ends no
call; an id that the service doesn't know does, under the conditions of `catalogue/unknown_ids.py`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.text import number_of
from batchrun.catalogue.asking import PATIENCE, Answers, ask, read_ids
from batchrun.catalogue.entries import Entries, Listed, age, entries_of
from batchrun.catalogue.kept import keep, load
from batchrun.catalogue.unknown_ids import is_mistake, unknown
from batchrun.commands.call import Call, key_of
from batchrun.commands.connection import connected, served
from batchrun.commands.questions import answered
from batchrun.engine.selection import Selection
from batchrun.errors import BatchrunError, Problem
from batchrun.ledger.book import Book
from batchrun.ledger.history import GOOD, OPEN, is_to_begin
from batchrun.ledger.key_index import KeyIndex
from batchrun.ledger.reader import open_reader
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.runflow.descriptions import Description
from batchrun.sweep.location import LEDGER, catalogue_beside

LONGEST_LOOK: Final = 5.0
"""Seconds for a look at the ledgers beside this one; one that isn't read may know the model."""

NAMED: Final = 3
"""Models that a warning names; of the others it says how many."""

NO_KEY: Final = "RUNFLOW_API_KEY is not set"


class Known(Struct, frozen=True, kw_only=True):
    """The *descriptions* by model, as far as they are known.

    *missing* says why a model has none, by its id. *problems* are ids that are mistakes, where they
    stand in the manifest. *warnings* are for people.
    """

    descriptions: Mapping[str, Description] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()


def models_to_send(
    call: Call, book: Book, selection: Selection, taken: KeyIndex, *, again: bool = False
) -> list[str]:
    """Return the ids of the models of cells that the call would send, each once.

    The cells that are *taken* over from another folder aren't sent. *again*: the chosen cells are
    made again, however they stand.
    """
    settings = call.settings

    def is_sent(cell: Cell) -> bool:
        if cell.key in taken or not selection.wants(cell):
            return False
        history = book.history(cell.key)
        if again or (history.state in OPEN and settings.limited):
            return True  # an open one may fail, and its next attempt needs a price
        return is_to_begin(history, settings)

    if settings.limit is not None and not again:
        cells = _within(settings.limit, filter(is_sent, expand(call.manifest)), book)
        return list(dict.fromkeys(cell.model for cell in cells))
    models = call.manifest.models
    sent = (model.id for model in models if any(map(is_sent, expand(call.manifest, model))))
    return list(dict.fromkeys(sent))


def _within(limit: int, cells: Iterable[Cell], book: Book) -> Iterator[Cell]:
    """Yield the *cells* up to the first one that `--limit` leaves to later calls."""
    new = KeyIndex()
    for cell in cells:
        if not book.history(cell.key).attempt:
            new.add(cell.key)
            if len(new) > limit:
                return
        yield cell


def know_models(
    call: Call, book: Book, models: Sequence[str], service: tuple[str, str] | None = None
) -> Known:
    """Return what is known of *models*; the service is asked for what isn't fresh in the cache.

    *service* is its URL and the key. Without them it is the call's own endpoint, where there is a
    key for it.
    """
    now = datetime.now(UTC)
    path = catalogue_beside(call.folder, call.place.label)
    kept, said = load(path, now)
    suspects = _Suspects(call, book, models)
    listed, absent = kept.fresh_list(now), suspects.among(kept, now)
    # One that would be refused may be there by now: it is asked for once more.
    refused = [model for model in absent if is_mistake(model, listed)]
    stale = [model for model in models if kept.fresh(model, now) is None or model in refused]
    failed = dict[str, str]()
    if stale or (absent and listed is None):
        news, failed = _asked(call, service, stale, suspects, kept, now)
        kept = kept.merged(news)
        keep(path, news, now)
    absent = [model for model in suspects.among(kept, now) if model not in failed]
    problems = list(_problems(call, absent, kept.fresh_list(now)))
    found = {model: kept.models[model] for model in models if model in kept.models}
    descriptions = {m: each.description for m, each in found.items() if each.description}
    missing = {
        model: failed.get(model, "the service knows no such model (404)")
        for model in models
        if model not in descriptions
    }
    old = {
        model: f"{age(found[model].at, now)} old"
        for model in stale
        if model in descriptions and model in failed
    }
    return Known(
        descriptions=descriptions,
        missing=missing,
        warnings=[*filter(None, [said]), *_warnings(missing, old, failed)],
        problems=problems,
    )


def _warnings(
    missing: Mapping[str, str], old: Mapping[str, str], failed: Mapping[str, str]
) -> Iterator[str]:
    for why, models in _grouped(missing).items():
        cells = "its cells" if len(models) == 1 else "their cells"
        yield f"no description of {_named(models)}: {why}; {cells} are not checked"
    for how_old, models in _grouped(old).items():
        yield f"the description of {_named(models)} is {how_old}: {failed[models[0]]}"


def _grouped(reasons: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Return the models of each reason."""
    groups = dict[str, list[str]]()
    for model, why in reasons.items():
        groups.setdefault(why, []).append(model)
    return groups


def _named(models: Sequence[str]) -> str:
    names = ", ".join(f"`{model}`" for model in models[:NAMED])
    more = len(models) - NAMED
    return f"{names} and {number_of(more, 'other')}" if more > 0 else names


def _problems(call: Call, models: Sequence[str], listed: Listed | None) -> Iterator[Problem]:
    """Yield a problem for each place of the manifest that names a model by mistake."""
    for model in call.manifest.models:
        if model.id in models and model.node is not None and is_mistake(model.id, listed):
            assert listed is not None
            yield model.node.problem(unknown(model.id, listed.ids))


class _Suspects:
    """The *models* that the service may not have: no ledger here has a run that succeeded."""

    def __init__(self, call: Call, book: Book, models: Sequence[str]) -> None:
        self._call = call
        self._book = book
        self._models = models
        self._known: dict[str, bool] = {}

    def among(self, kept: Entries, now: datetime) -> list[str]:
        """Return those that the service didn't know when it was asked last, if that is fresh."""
        entries = {model: kept.fresh(model, now) for model in self._models}
        absent = (m for m, entry in entries.items() if entry is not None and entry.body is None)
        return [model for model in absent if not self._succeeded(model)]

    def _succeeded(self, model: str) -> bool:
        if model not in self._known:
            own = _has_succeeded(self._book, model)
            self._known[model] = own or _succeeded_beside(self._call, model)
        return self._known[model]


def _has_succeeded(book: Book, model: str) -> bool:
    facts = book.models.get(model)
    if facts is None:
        return False
    histories = book.histories.values()
    return facts.paid_runs > 0 or any(h.model == model and h.state in GOOD for h in histories)


def _succeeded_beside(
    call: Call, model: str, *, clock: Callable[[], float] = time.monotonic
) -> bool:
    """Say whether another ledger of this endpoint has a run that succeeded, or may have one."""
    end = clock() + LONGEST_LOOK
    for path in _ledgers_beside(call):
        if clock() >= end:
            return True
        try:
            with open_reader(path) as reader:
                if _has_succeeded(reader.book, model):
                    return True
        except BatchrunError:
            return True
    return False


def _ledgers_beside(call: Call) -> list[Path]:
    base = catalogue_beside(call.folder, call.place.label).parent
    found = [*base.glob(f"[!@]*/{LEDGER}"), *base.glob(f"[!@]*/@*/{LEDGER}")]
    return [path for path in sorted(found) if path.parent != call.folder]


def _asked(
    call: Call,
    service: tuple[str, str] | None,
    stale: Sequence[str],
    suspects: _Suspects,
    kept: Entries,
    now: datetime,
) -> tuple[Entries, dict[str, str]]:
    """Return the news of the models that are *stale*, and why there is none, by model."""
    key = key_of(call.endpoint) if service is None else service[1]
    if key is None:
        return Entries(), dict.fromkeys(stale, NO_KEY)

    async def asking(url: str) -> tuple[Answers, Listed | None]:
        patient = replace(call.settings, give_up=min(call.settings.give_up, PATIENCE))
        async with connected(url, key, patient, log=lambda _: None) as client:
            answers = await ask(client, stale)
            listed = None
            known = kept.merged(entries_of(answers.bodies, now))
            if suspects.among(known, now) and not kept.fresh_list(now):
                found = await read_ids(client)
                listed = Listed(at=now, ids=tuple(sorted(found.models))) if found.whole else None
            return answers, listed

    try:
        opened = served(call.endpoint, None) if service is None else nullcontext(service[0])
        with opened as url:
            answers, listed = answered(asking, url)
    except BatchrunError as error:
        return Entries(), dict.fromkeys(stale, str(error))
    news = entries_of(answers.bodies, now, listed)
    large = answers.bodies.keys() - news.models.keys()
    return news, {**answers.failed, **dict.fromkeys(large, "it is too large")}
