"""Several sweeps of one name on one page: their rows and files as that page has them. Pure.

`label` is an axis there, and the first one. A file is addressed in the folder of its own sweep, so
nothing is copied. No name of an input or a column clashes with it: such a one has a prefix.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from batchrun.base.text import money
from batchrun.report.head import COUNTS, Head, SweepOnPage
from batchrun.report.throttle_bins import joined
from batchrun.results.rows import PointRow

LABEL: Final = "label"
"""The axis, and its column."""

NO_LABEL: Final = "w/o label"
"""Its value for the sweep without one. No label has a `/`, so it is that of no other."""

LABELS_PAGE: Final = "labels.html"
LABELS_SINGLE: Final = "labels-single.html"
LABELS_DATA: Final = "labels/data"
"""Beside the folders of the labels, in that of the name."""


def labelled(row: PointRow, label: str | None, below: str) -> PointRow:
    """Return *row* as the page has it; its sweep's folder is *below* the page's, "" for that."""
    values = {LABEL: NO_LABEL if label is None else label}
    for name, value in row.values.items():
        values[name if name not in values else _other(name, row.values)] = value
    if row.saved is None or not below:
        return replace(row, values=values)
    files = tuple(replace(each, path=f"{below}{each.path}") for each in row.saved.files)
    return replace(row, values=values, saved=replace(row.saved, files=files))


def _other(name: str, taken: Mapping[str, Any]) -> str:
    """Return what a column is called whose name the page itself has; none of those *taken*."""
    while name in taken:
        name = f"input.{name}"
    return name


def below_page(path: str) -> tuple[str, str]:
    """Return the folder of a file's sweep as `labelled` was given it, and its path in there."""
    folder, slash, rest = path.partition("/")
    return (f"{folder}{slash}", rest) if path.startswith("@") else ("", path)


def head_of_all(name: str, folder: str, heads: Sequence[Head], written_at: str) -> Head:
    """Return the head of the page of *name*: sums of the *heads* of its sweeps."""
    sweeps = [each.sweeps[0] for each in heads]
    first = [each.first_at for each in heads if each.first_at is not None]
    last = [each.last_at for each in heads if each.last_at is not None]
    return Head(
        name=name,
        label=None,
        endpoint=next((each.endpoint for each in heads if each.endpoint), ""),
        simulated=any(each.simulated for each in heads),
        folder=folder,
        counts={each: sum(head.counts.get(each, 0) for head in heads) for each in COUNTS},
        cost=money(sum((Decimal(each.cost) for each in heads), Decimal(0))),
        written_at=written_at,
        first_at=min(first, default=None),
        last_at=max(last, default=None),
        calls=sum(each.calls for each in heads),
        complete=all(each.complete for each in sweeps),
        failures=_failures(each for head in heads for each in head.failures),
        throttles=joined(each.throttles for each in heads),
        sweeps=sweeps,
        data=LABELS_DATA,
    )


def _failures(every: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the failures of all sweeps, those of one kind as one, the most frequent first."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in every:
        kind = each["alias"], each["code"], each["message"]
        count = found[kind]["count"] if kind in found else 0
        found[kind] = {**each, "count": count + each["count"]}
    return sorted(found.values(), key=lambda each: -each["count"])


def on_page(head: Head, *, label: str | None, rows: int, problem: str | None) -> SweepOnPage:
    """Return what the page says of the one sweep that *head* is of."""
    return SweepOnPage(
        sweep=head.sweep,
        label=label,
        value=NO_LABEL if label is None else label,
        folder=head.folder,
        rows=rows,
        counts=head.counts,
        cost=head.cost,
        first_at=head.first_at,
        last_at=head.last_at,
        complete=head.complete,
        models=head.models,
        problem=problem,
    )
