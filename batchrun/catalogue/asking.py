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
from batchrun.errors import BatchrunError
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

    *why* says why it isn't whole; *failed*: the service gave no answer.
    """

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    why: str = ""
    failed: bool = False

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
    unnamed, why = 0, ""
    pages: PageLoop[ModelPage] = PageLoop(
        partial(client.models_page, fields=fields, public=public), most=MOST_PAGES
    )
    try:
        with anyio.fail_after(LONGEST):
            while (page := await pages.next_page()) is not None:
                for entry in page.entries:
                    model = model_id_of(entry)
                    unnamed += model is None
                    if model is not None:
                        models[model] = entry
    except TimeoutError:
        why = _too_late(LONGEST)
    except BatchrunError as error:
        why = str(error)
    failed = why != ""
    if not why and not pages.complete:
        why = "the service refuses it" if pages.refused else "it has no end that could be found"
    if not why and unnamed:
        why = f"{unnamed} of its entries have no id that can be read"
    return ModelList(models=models, why=why, failed=failed)


def _too_late(seconds: float) -> str:
    return f"no answer within {span(seconds)}"
