"""The scenarios as data: a manifest, how the service behaves, and what its user does.

The words are those of the command line, of the manifest, and of the service's double. A scenario's
name is the name of the file with its trace.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from simulated import Runflow

MODEL: Final = "models: [google/nano-banana-2]\n"
LIMITS: Final = "limits: {settle: 5s, give_up: 20s}\n"
UNSAVED: Final = "outputs: {download: false}\n"
ONE: Final = MODEL + "inputs: {prompt: a}\n" + UNSAVED + LIMITS
TWO: Final = MODEL + "inputs: {prompt: [a, b]}\n" + UNSAVED + LIMITS
OFTEN: Final = "poll: {interval: 300ms}\n"
SAVED: Final = MODEL + "inputs: {prompt: [a, b]}\n" + LIMITS
SIX: Final = (
    MODEL
    + "inputs: {prompt: [a, b, c, d, e, f]}\n"
    + UNSAVED
    + "limits: {concurrency: 4, rate: 10/s, settle: 5s}\n"
)
TEN: Final = (
    MODEL
    + "inputs: {prompt: {$range: [1, 10]}}\n"
    + UNSAVED
    + "limits: {concurrency: 10, rate: 20/s, settle: 5s}\n"
)
SCORE: Final = TEN.replace("[1, 10]", "[1, 20]").replace("10, rate", "20, batch: 10, rate")
PAIR: Final = (
    "models:\n"
    "  - {id: google/nano-banana-2, alias: banana}\n"
    "  - {id: openai/gpt-image-1.5, alias: gpt}\n"
    "inputs: {prompt: [a, b, c]}\n" + UNSAVED + "limits: {concurrency: 2, settle: 5s}\n"
)


@dataclass(frozen=True)
class Call:
    """`batchrun m.yaml` with *words*, as if typed; a signal comes after *interrupt_after* s."""

    words: str = ""
    interrupt_after: float | None = None

    def __str__(self) -> str:
        return f"batchrun m.yaml {self.words}".rstrip()


@dataclass(frozen=True)
class Recover:
    """`batchrun recover m.yaml`."""

    def __str__(self) -> str:
        return "batchrun recover m.yaml"


@dataclass(frozen=True)
class Wait:
    """Some seconds pass."""

    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:g} s pass"


@dataclass(frozen=True)
class Lose:
    """Files of the sweep's folder are deleted."""

    files: Sequence[str] = ("ledger.jsonl",)

    def __str__(self) -> str:
        return f"deleted: {', '.join(self.files)}"


@dataclass(frozen=True)
class Copy:
    """A file of the sweep's folder is copied within it."""

    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.old} copied to {self.new}"


@dataclass(frozen=True)
class Change:
    """The service behaves otherwise from now on."""

    service: Mapping[str, Any]

    def __str__(self) -> str:
        return f"the service from now on: {dict(self.service)}"


Step = Call | Recover | Wait | Lose | Copy | Change


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """*service* says how the service is made.

    *in_full*, the trace shows which fields a list is asked for.
    """

    promise: str
    text: str = TWO
    service: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[Step] = (Call(),)
    in_full: bool = False

    def made(self) -> Runflow:
        """Return a service that nothing has happened to yet."""
        return Runflow(**{name: copy(value) for name, value in self.service.items()})


def at_first(*words: str, then: str) -> Callable[[int], str]:
    """Return how the n-th run ends: the first ones by *words*."""
    return lambda number: words[number] if number < len(words) else then


UNDISTURBED: Final = {
    "one-run": Scenario(
        promise="A run is asked for, and watched.", text=ONE[: -len(LIMITS)], in_full=True
    ),
    "saved-files": Scenario(promise="What runs made is on disk before it is said.", text=SAVED),
    "four-at-once": Scenario(promise="Four of six runs are under way at once.", text=SIX),
    "two-models": Scenario(promise="Two models share what may be under way.", text=PAIR),
    "a-models-own-limit": Scenario(
        promise="A model has a limit of its own, and the other goes on.",
        text=PAIR.replace("alias: gpt", "alias: gpt, concurrency: 1").replace(
            "{concurrency: 2,", "{concurrency: 4,"
        ),
    ),
    "short-and-long-runs": Scenario(
        promise="Each run is seen when it ends; the slot goes to the next one.",
        text=SIX,
        service={"duration": lambda number: 3.0 + 11.0 * (number % 3)},
    ),
    "slow-poll": Scenario(
        promise="The manifest says how often a run is looked at.",
        text=ONE + "poll: {interval: 7s}\n",
        service={"duration": lambda _: 40.0},
    ),
}

NEXT: Final = (Call(), Wait(1.0), Call())


def _answered(word: str) -> Scenario:
    """Return the scenario in which the first POST meets *word*, and a call follows."""
    return Scenario(
        promise=f"The first POST meets `{word}`; another call follows.",
        service={"script": [word]},
        steps=NEXT,
    )


ANSWERS: Final = {
    f"answer-{word}": _answered(word)
    for word in (
        *("unreachable", "reset", "lost", "500-after", "half", "no-id", "hang", "html"),
        *("400", "401", "402", "403", "404", "408", "409", "413", "422", "429", "500", "503"),
    )
}

FATES: Final = {
    "failed-once": Scenario(
        promise="A run that failed is followed by a second attempt.",
        service={"ending": at_first("failed", then="succeeded")},
    ),
    "failed-twice": Scenario(
        promise="Failed runs use the attempts up; `--retry-failed` grants them again.",
        text=ONE,
        service={"ending": at_first("failed", "failed", then="succeeded")},
        steps=(Call(), Call(), Call("--retry-failed")),
    ),
    "cancelled": Scenario(
        promise="A cancelled run is not tried again by itself.",
        service={"ending": at_first("cancelled", "partial_succeeded", then="succeeded")},
        steps=(Call(), Call("--retry-failed")),
    ),
    "too-old": Scenario(
        promise="A run older than `timeout` is parked, and taken up by the next call.",
        service={"duration": lambda _: 50.0},
        steps=(Call("--timeout 20s"), Wait(60.0), Call()),
    ),
    "unknown-runs": Scenario(
        promise="A run that isn't known any more is parked; the next call doubts the key.",
        text=ONE,
        service={"known": False},
        steps=NEXT,
    ),
    "unknown-runs-no-filter": Scenario(
        promise="The same without a filter; with `--trust-key` the run is looked at again.",
        text=ONE,
        service={"known": False, "filters": "no"},
        steps=(Call("--timeout 20s"), Call("--trust-key --timeout 20s")),
    ),
}

LATE: Final = {
    "listed-within-settle": Scenario(
        promise="A lost run is listed within `settle`, and adopted.",
        service={"script": ["lost"], "list_lag": 3.0},
    ),
    "listed-after-settle": Scenario(
        promise="A lost run is listed after `settle`: it is sent again, and the first is an extra.",
        service={"script": ["lost"], "list_lag": 8.0},
        steps=NEXT,
    ),
    "reset-twice": Scenario(
        promise="Two requests are lost soon after each other: each doubt has its own `settle`.",
        text=TWO + OFTEN,
        service={"script": ["reset", "reset"]},
    ),
    "reset-twice-no-filter": Scenario(
        promise="The same by walking the list.",
        text=TWO + OFTEN,
        service={"script": ["reset", "reset"], "filters": "no"},
    ),
    "listed-after-settle-looked-for-often": Scenario(
        promise="The watch over a doubt goes on for `settle` after the last send.",
        text=TWO + OFTEN,
        service={"script": ["lost"], "list_lag": 8.0},
    ),
    "listed-after-settle-empty-filter": Scenario(
        promise="The same where the filter shows nothing.",
        text=TWO + OFTEN,
        service={"script": ["lost"], "list_lag": 8.0, "filters": "empty"},
    ),
    "committed-within-settle": Scenario(
        promise="A lost run is committed within `settle`, and adopted.",
        service={"script": ["lost"], "commit_lag": 3.0},
    ),
    "committed-after-settle": Scenario(
        promise="Runs are committed after `settle`: what was sent again has an extra.",
        service={"script": ["lost"], "commit_lag": 8.0},
        steps=(Call(), Wait(30.0), Call()),
    ),
}


def _lost(promise: str, **service: Any) -> Scenario:
    return Scenario(promise=promise, service={"script": ["lost"], **service})


KINDS: Final = {
    "lost-key-honoured": _lost("A service that honours the key has the run.", honours_key=True),
    "reset-key-honoured": Scenario(
        promise="A service that honours the key never had the request.",
        service={"script": ["reset"], "honours_key": True},
    ),
    "lost-no-filter": _lost("A service without the filter is walked.", filters="no"),
    "lost-filter-ignored": _lost("A filter that is ignored shows all runs.", filters="ignored"),
    "lost-filter-empty": _lost("A filter that shows nothing is not believed.", filters="empty"),
    "reset-no-filter": Scenario(
        promise="A service without the filter is walked, and nothing is there.",
        service={"script": ["reset"], "filters": "no"},
    ),
    "lost-pages-of-two": Scenario(
        promise="Pages hold two runs; three answers are lost.",
        text=SIX,
        service={"script": ["ok", "lost", "lost", "ok", "lost"], "page_cap": 2},
    ),
    "lost-no-metadata": _lost("A list leaves the tags out.", left_out=["metadata"]),
    "lost-no-reference": _lost("A list leaves the reference out.", left_out=["client_ref"]),
    "lost-nothing-told": Scenario(
        promise="Nothing tells whose a run is; `--resubmit-in-doubt` is the user's own decision.",
        text=ONE,
        service={"script": ["lost"], "left_out": ["metadata"], "everywhere": True},
        steps=(Call(), Call("--resubmit-in-doubt")),
    ),
    "lost-in-a-crowd": _lost(
        "The newest page is others', and there is no filter.",
        faults=["crowd=5"],
        filters="no",
        page_cap=5,
    ),
    "lost-undated": _lost("Answers don't say what time it is.", dated=False, filters="empty"),
}

BATCHES: Final = {
    "batch": Scenario(
        promise="A batch is one request, and its runs are one wave.",
        text=TEN,
        service={"batches": "yes"},
    ),
    "batch-named": Scenario(
        promise="Runs show the metadata of their batch; its answer is lost.",
        text=TEN,
        service={"batches": "named", "script": ["lost"]},
    ),
    "batch-refused": Scenario(
        promise="A model that takes no batches is sent single runs.", text=TEN
    ),
    "batches-of-ten": Scenario(
        promise="The first batch asks, and the others wait for its answer.",
        text=SCORE,
        service={"batches": "yes", "duration": lambda number: 8.0 + number % 5},
    ),
    "batches-in-company": Scenario(
        promise="Where runs are short a freed slot waits a moment for company.",
        text=SCORE.replace("[1, 20]", "[1, 36]"),
        service={"batches": "yes", "duration": lambda number: 0.5 + 1.2 * (number % 3)},
    ),
    "batch-hangs": Scenario(
        promise="The first batch is never answered: the others wait a little, and leave alone.",
        text=SCORE,
        service={"batches": "yes", "script": ["hang"]},
        steps=(Call("--max-duration 15s"),),
    ),
    "batch-lost": Scenario(
        promise="A batch whose answer is lost is found, and not sent again.",
        text=TEN,
        service={"batches": "yes", "script": ["lost"]},
    ),
    "batch-reset": Scenario(
        promise="A batch that never arrived is sent again with the same bytes.",
        text=TEN,
        service={"batches": "yes", "script": ["reset"]},
    ),
    "batch-no-run": Scenario(
        promise="An item without a run was refused.",
        text=TEN,
        service={"batches": "yes", "without_run": frozenset({4})},
    ),
    "batch-not-kept": Scenario(
        promise="A batch that isn't known any more leaves a doubt; the next call looks again.",
        text=TEN,
        service={"batches": "yes", "script": ["lost"], "keeps_batches": False},
        steps=(Call(), Change({"keeps_batches": True}), Call()),
    ),
    "batch-no-filter": Scenario(
        promise="Where no list tells, the batch says which of its runs still run.",
        text=TEN,
        service={"batches": "yes", "filters": "no", "duration": lambda number: 8.0 + number},
    ),
}

ENDINGS: Final = {
    "budget": Scenario(
        promise="The budget is reached; the next call has more.",
        text=SIX,
        steps=(Call("--budget 0.20"), Call("--budget 0.30")),
    ),
    "limit": Scenario(
        promise="`--limit` counts new cells in this call.",
        text=SIX,
        steps=(Call("--limit 2"), Call("--limit 3"), Call()),
    ),
    "max-duration": Scenario(
        promise="`--max-duration` leaves runs in flight to the next call.",
        text=SIX,
        steps=(Call("--max-duration 5s"), Wait(3.0), Call()),
    ),
    "only": Scenario(
        promise="`--only` looks up a doubt of others, and sends nothing of theirs.",
        service={"script": ["reset"]},
        steps=(Call("--max-duration 2s"), Wait(10.0), Call("--only prompt=b"), Call()),
    ),
    "interrupted-at-start": Scenario(
        promise="A signal comes before the first run is asked for: nothing is.",
        text=ONE,
        steps=(Call(interrupt_after=0.23), Wait(1.0), Call()),
    ),
    "interrupted-early": Scenario(
        promise="A signal comes amid the first requests: their answers are waited for.",
        text=SIX,
        steps=(Call(interrupt_after=0.43), Wait(1.0), Call()),
    ),
    "interrupted-in-doubt": Scenario(
        promise="A signal comes while an answer is due that never comes.",
        service={"script": ["hang"]},
        steps=(Call(interrupt_after=3.0), Wait(1.0), Call()),
    ),
    "interrupted-drained": Scenario(
        promise="With `--on-interrupt drain` the runs in flight are seen to their end.",
        text=SIX,
        steps=(Call("--on-interrupt drain", interrupt_after=3.0), Call()),
    ),
    "all-refused": Scenario(
        promise="An API that answers nothing but 429 is given up on.",
        text=ONE,
        service={"script": ["429"] * 40},
        steps=NEXT,
    ),
    "another-organisation": Scenario(
        promise="A key of another organisation stops the call before it sends anything.",
        steps=(Call("--limit 1"), Change({"organisation": "org-2"}), Call()),
    ),
    "old-copy": Scenario(
        promise="An old copy of the ledger is noticed before anything is sent.",
        text=SIX,
        steps=(
            Call("--limit 2"),
            Copy("ledger.jsonl", "old.jsonl"),
            Call("--limit 2"),
            Copy("old.jsonl", "ledger.jsonl"),
            Call(),
        ),
    ),
    "recovered": Scenario(
        promise="A lost ledger is refused, rebuilt from the service, and gone on with.",
        service={"ending": at_first("failed", then="succeeded")},
        steps=(Call(), Lose(), Call(), Recover(), Call()),
    ),
    "recovered-by-name": Scenario(
        promise="Without `sweep.json` the tags of the runs tell who the sweep is.",
        service={"script": ["ok", "422"], "filters": "no"},
        steps=(Call(), Lose(("ledger.jsonl", "sweep.json")), Recover(), Call()),
    ),
}

SCENARIOS: Final[Mapping[str, Scenario]] = {
    **UNDISTURBED,
    **ANSWERS,
    **FATES,
    **LATE,
    **KINDS,
    **BATCHES,
    **ENDINGS,
}


@dataclass(frozen=True, kw_only=True)
class Crash:
    """A scenario of which one process dies: the one after those that are *spared*."""

    scenario: Scenario
    spared: int = 0


CRASHES: Final[Mapping[str, Crash]] = {
    "crash-lost-answer": Crash(
        scenario=Scenario(
            promise="Two runs, of which the first answer is lost. The first call dies.",
            text=SAVED,
            service={"script": ["lost"]},
            steps=(Call(), Call(), Call()),
        )
    ),
    "crash-batch": Crash(
        scenario=Scenario(
            promise="A batch whose answer is lost. The first call dies.",
            text=TEN,
            service={"batches": "yes", "script": ["lost"]},
            steps=(Call(), Call(), Call()),
        )
    ),
    "crash-recovery": Crash(
        scenario=Scenario(
            promise="A lost ledger is rebuilt. The first `recover` dies.",
            steps=(Call(), Lose(), Recover(), Recover(), Call()),
        ),
        spared=1,
    ),
}
