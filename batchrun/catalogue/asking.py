"""Asks the service for descriptions of models, and for the list of all. No answer is an error.

A description that can't be had is not known, and a call does without: a 403, a 5xx, a service that
hangs. Each question is bounded in time, and so are all together.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import anyio
from msgspec import Struct, field

from batchrun.base.text import span
from batchrun.errors import BatchrunError, UnreachableError
from batchrun.runflow.client import Client
from batchrun.runflow.model_list import ModelPage, model_id_of
from batchrun.runflow.pagination import PageLoop

AT_ONCE: Final = 4
"""Questions that are under way side by side."""

PATIENCE: Final = 5.0
"""Seconds that a service may give no good answer: a call can do without descriptions."""

EACH: Final = 10.0
"""Seconds that one answer may take, where a request hangs."""

LONGEST: Final = 20.0
"""Seconds that all of them may take."""

MOST_PAGES: Final = 40
"""Pages of up to 500 models; a longer list counts as one that has no end."""

IDS: Final = "id,slug"
"""The fields of the list that hold a model's id."""


class Answers(Struct, frozen=True, kw_only=True):
    """*bodies* by model: None is one that the service doesn't know. *failed*: why there is none."""

    bodies: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


async def ask(client: Client, models: Iterable[str]) -> Answers:
    """Return what the service says of *models*, asked for side by side."""
    asked = list(dict.fromkeys(models))
    answers, room = Answers(), anyio.CapacityLimiter(AT_ONCE)
    with anyio.move_on_after(LONGEST):
        async with anyio.create_task_group() as tasks:
            for model in asked:
                tasks.start_soon(_ask_one, client, model, answers, room)
    for model in asked:
        if model not in answers.bodies:
            answers.failed.setdefault(model, _too_late(LONGEST))
    return answers


async def _ask_one(
    client: Client, model: str, answers: Answers, room: anyio.CapacityLimiter
) -> None:
    async with room:
        if answers.failed and not client.answers:  # nothing is: the others would wait as long
            answers.failed[model] = next(iter(answers.failed.values()))
            return
        try:
            with anyio.fail_after(EACH):
                answer = await client.model(model)
        except TimeoutError:
            answers.failed[model] = _too_late(EACH)
        except BatchrunError as error:
            answers.failed[model] = str(error)
        else:
            if answer.refusal is None:
                answers.bodies[model] = answer.body
            elif answer.http_status == 404:
                answers.bodies[model] = None
            else:
                answers.failed[model] = f"HTTP {answer.http_status} ({answer.refusal})"


class ModelList(Struct, frozen=True, kw_only=True):
    """The service's list: entries by model. *whole*: it was read to its end, and so was each id.

    *why* says why it isn't whole; *failed* is the error where the service gave no answer.
    """

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    why: str = ""
    failed: BatchrunError | None = None

    @property
    def whole(self) -> bool:
        return not self.why


async def read_ids(client: Client) -> ModelList:
    """Return the list, of which only the ids are to be relied on."""
    found = await read_list(client, fields=IDS)
    return found if found.whole or found.failed else await read_list(client)


async def read_list(
    client: Client, *, fields: str | None = None, public: bool = False
) -> ModelList:
    """Return the list with *fields* alone, all by default; the *public* one needs no key."""
    models: dict[str, Mapping[str, Any]] = {}
    ask_page = partial(client.models_page, fields=fields, public=public)
    pages: PageLoop[ModelPage] = PageLoop(ask_page, most=MOST_PAGES)
    try:
        with anyio.fail_after(LONGEST):
            unnamed = await _take_in(pages, models)
    except TimeoutError:
        failed: BatchrunError = UnreachableError(f"the list of models: {_too_late(LONGEST)}")
    except BatchrunError as error:
        failed = error
    else:
        return ModelList(models=models, why=_not_whole(pages, unnamed))
    return ModelList(models=models, why=str(failed), failed=failed)


async def _take_in(pages: PageLoop[ModelPage], models: dict[str, Mapping[str, Any]]) -> int:
    """Take the entries of all *pages* into *models*; return how many have no id."""
    unnamed = 0
    while (page := await pages.next_page()) is not None:
        unnamed += page.unread
        for entry in page.entries:
            if (model := model_id_of(entry)) is None:
                unnamed += 1
            else:
                models[model] = entry
    return unnamed


def _not_whole(pages: PageLoop[ModelPage], unnamed: int) -> str:
    """Return why a list isn't whole, "" where it is."""
    if pages.refused:
        return "the service refuses it"
    if not pages.complete:
        return "it has no end that could be found"
    return f"{unnamed} of its entries have no id that can be read" if unnamed else ""


def _too_late(seconds: float) -> str:
    return f"no answer within {span(seconds)}"
