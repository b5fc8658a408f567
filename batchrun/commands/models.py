"""`batchrun models [ID]`: which models there are; what one takes, gives and costs.

Asked for is what isn't fresh in the cache. Where the service can't be asked, what is cached is
shown, with its age. Without a key the public list is asked for.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from batchrun.base.said import width_for
from batchrun.base.text import near_misses, number_of
from batchrun.catalogue.asking import PATIENCE, Answers, ModelList, ask, read_list
from batchrun.catalogue.entries import Entries, Entry, Listed, age, entries_of
from batchrun.catalogue.kept import keep, load
from batchrun.catalogue.page import as_dict, model_page
from batchrun.catalogue.table import model_table
from batchrun.catalogue.unknown_ids import NEAREST
from batchrun.commands.call import key_of
from batchrun.commands.connection import connected, served
from batchrun.commands.options import Parser, add_place, take_place
from batchrun.commands.target import Place
from batchrun.errors import BatchrunError, UnreachableError, UsageError
from batchrun.runflow.descriptions import Description
from batchrun.runflow.wire import model_path
from batchrun.settings import settings_from
from batchrun.sweep.location import catalogue_below, choose_endpoint, default_base

HERE: Final = Path("models.yaml")
"""A manifest of this folder: its sweeps, were it there, would lie where the cache is."""


class Shown(Struct, frozen=True, kw_only=True):
    """The entries to show, each with a description; *exact*: they are the one model asked for.

    *why* says why none is newer.
    """

    endpoint: str
    entries: Mapping[str, Entry]
    exact: bool
    why: str


class News(Struct, frozen=True, kw_only=True):
    """Answers of the service: *whole* descriptions, and *partial* ones that are shown alone.

    *error* is why there is no more.
    """

    whole: Entries = field(default_factory=Entries)
    partial: Entries = field(default_factory=Entries)
    error: BatchrunError | None = None


def main(argv: Sequence[str]) -> int:
    """Print the models, or the one that *argv* names; 0 where any fits."""
    values = vars(parser().parse_args(argv))
    now = datetime.now(UTC)
    shown = find(values["wanted"], take_place(values), now)
    print(_as_json(shown) if values["json"] else "\n".join(_lines(shown, now)))
    return 0


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser(
        "models",
        description="Which models there are: all, those with a word in their id, or one by its id.",
    )
    made.add_argument("wanted", nargs="?", default="", metavar="ID")
    add_place(made)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def find(wanted: str, place: Place, now: datetime) -> Shown:
    """Return the model of the id *wanted*, else those that have the word in theirs.

    Raises UsageError with the nearest ids where there is none, and what the service came to where
    nothing is known at all.
    """
    endpoint = choose_endpoint(place.endpoint, None, os.environ.get("RUNFLOW_API_URL"))
    path = catalogue_below(place.outputs or default_base(HERE), endpoint)
    kept, _ = load(path, now)
    wanted = wanted.strip()
    one = wanted if _is_id(wanted) else ""
    news = News()
    if not _is_known(kept, one, now):
        news = _asked(endpoint, one, now)
        keep(path, news.whole, now)
    whole = kept.merged(news.whole).models.items()
    there = {**news.partial.models, **{name: entry for name, entry in whole if entry.body}}
    return _chosen(wanted, there, endpoint, news.error)


def _is_id(text: str) -> bool:
    with suppress(ValueError):
        return "/" in text and bool(model_path(text))
    return False


def _is_known(kept: Entries, one: str, now: datetime) -> bool:
    """Say whether all that is to be shown is fresh: the model *one*, or all of the list."""
    if one:
        entry = kept.fresh(one, now)
        if entry is not None and entry.body is not None:
            return True
    listed = kept.fresh_list(now)
    return listed is not None and all(kept.fresh(each, now) for each in listed.ids)


def _chosen(
    wanted: str, there: Mapping[str, Entry], endpoint: str, error: BatchrunError | None
) -> Shown:
    found = {wanted: there[wanted]} if wanted in there else {}
    found = found or {name: e for name, e in there.items() if wanted.lower() in name.lower()}
    if not found:
        if not there:
            raise error or UnreachableError(f"`{endpoint}` shows no model")
        near = " or ".join(f"`{name}`" for name in near_misses(wanted, there, most=NEAREST))
        hint = f"; did you mean {near}?" if near else "; `batchrun models` shows all"
        raise UsageError(f"no model has `{wanted}` in its id{hint}")
    why = "" if error is None else str(error)
    return Shown(endpoint=endpoint, entries=found, exact=wanted in found, why=why)


def _asked(endpoint: str, one: str, now: datetime) -> News:
    """Return the news of the model *one*, where the service describes it, else of the list."""
    key = key_of(endpoint)

    async def asking(url: str) -> tuple[Answers, ModelList | None]:
        patient = replace(
            settings_from({}, model_concurrency={}, model_prices={}), give_up=PATIENCE
        )
        async with connected(url, key, patient, log=lambda _: None) as client:
            answers = await ask(client, [one] if one and key else [])
            had = any(answers.bodies.values())
            return answers, None if had else await read_list(client, public=key is None)

    try:
        with served(endpoint, None) as url:
            answers, found = anyio.run(asking, url)
    except BatchrunError as error:
        return News(error=error)
    if found is None:
        return News(whole=entries_of(answers.bodies, now))
    # A list that leaves the inputs out is no description, and the public one isn't all there is.
    whole = {model: entry for model, entry in found.models.items() if entry.get("inputs")}
    is_all = found.whole and key is not None
    listed = Listed(at=now, ids=tuple(sorted(found.models))) if is_all else None
    return News(
        whole=entries_of({**answers.bodies, **whole}, now, listed),
        partial=entries_of({m: found.models[m] for m in found.models.keys() - whole.keys()}, now),
        error=_error(found),
    )


def _error(found: ModelList) -> BatchrunError | None:
    if found.whole:
        return None
    return found.failed or UnreachableError(f"the list of models: {found.why}")


def _lines(shown: Shown, now: datetime) -> list[str]:
    described, width = _descriptions(shown.entries), width_for(sys.stdout)
    if shown.exact:
        [(model, description)] = described.items()
        lines = model_page(model, description, width)
    else:
        lines = [*model_table(described, width), "", number_of(len(described), "model")]
    oldest = min(each.at for each in shown.entries.values())
    if shown.why:
        lines += ["", f"as it was {age(oldest, now)} ago: {shown.why}"]
    elif oldest < now:
        lines += ["", f"as it was {age(oldest, now)} ago"]
    return lines


def _descriptions(entries: Mapping[str, Entry]) -> dict[str, Description]:
    found = {model: entry.description for model, entry in entries.items()}
    return {model: each for model, each in found.items() if each is not None}


def _as_json(shown: Shown) -> str:
    described = _descriptions(shown.entries)
    report: dict[str, Any] = {
        "schema": 1,
        "endpoint": shown.endpoint,
        "models": [as_dict(m, described[m], shown.entries[m].at) for m in sorted(described)],
        "stale": shown.why or None,
        "exit_code": 0,
    }
    return json.dumps(report)
