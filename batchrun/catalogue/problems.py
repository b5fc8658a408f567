"""The mistakes of a grid as problems that people read: each with its place, and few enough.

Each group of mistakes has a line before any has a second one. The lines come in the order of the
files.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Final

from msgspec import Struct

from batchrun.base.text import number_of
from batchrun.catalogue.found import Count, Found, Group
from batchrun.catalogue.mistakes import Mistake
from batchrun.catalogue.rules import Kind
from batchrun.errors import ManifestError, Place, Problem
from batchrun.manifest.expressions.expression import Origin as AnyPlace
from batchrun.manifest.grid.places import Field, Places
from batchrun.manifest.manifest import Manifest, Model

MOST_LINES: Final = 20
MOST_OF_A_GROUP: Final = 5
"""Values of one group that have a line of their own."""


HOW_TO_SEND: Final = "`--input-errors warn` sends such cells all the same"


class InputProblems(Struct, frozen=True, kw_only=True):
    """What is wrong with the inputs of the cells that would be sent, a line each.

    *errors* are ruled out by descriptions, *warnings* are doubtful. The last line of each may say
    how much more there is.
    """

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def refusal(self) -> ManifestError | None:
        """The error that a call ends with that refuses such inputs, None where none is wrong."""
        if not self.errors:
            return None
        return ManifestError(self.errors, f"nothing was sent; {HOW_TO_SEND}")


NONE: Final = InputProblems()


class _Line(Struct):
    """One count that has a line, and how many cells its group has besides those with lines."""

    count: Count
    besides: int = 0


class _Lines(Struct, frozen=True):
    """The counts that have lines, and the groups that have none."""

    shown: Sequence[_Line]
    hidden: Sequence[Sequence[Count]]


def problems_of(manifest: Manifest, found: Found) -> InputProblems:
    """Return the problems of *found*; ManifestError where a data file has changed."""
    errors = _chosen(found.groups, certain=True)
    warnings = _chosen(found.groups, certain=False)
    firsts = {line.count.first for each in (errors, warnings) for line in each.shown}
    places = Places(manifest, firsts)
    return InputProblems(
        errors=(*_said(manifest, places, errors),),
        warnings=(*_said(manifest, places, warnings),),
    )


def _chosen(groups: Iterable[Group], *, certain: bool) -> _Lines:
    """Choose the counts that get a line: the first of each group, then further ones."""
    kept = [each for group in groups if (each := group.counts(certain=certain))]
    shown: list[list[_Line]] = [[_Line(each[0])] for each in kept[:MOST_LINES]]
    room = MOST_LINES - len(shown)
    for lines, each in zip(shown, kept, strict=False):
        further = each[1 : 1 + min(room, MOST_OF_A_GROUP - 1)]
        lines += [_Line(count) for count in further]
        room -= len(further)
        lines[-1].besides = sum(count.cells for count in each[len(lines) :])
    hidden = kept[MOST_LINES:]
    return _Lines([line for lines in shown for line in lines], hidden)


def _said(manifest: Manifest, places: Places, lines: _Lines) -> Iterator[Problem]:
    problems = [_problem(manifest, places, line) for line in lines.shown]
    yield from sorted(problems, key=lambda problem: problem.place)
    if lines.hidden:
        cells = sum(count.cells for each in lines.hidden for count in each)
        kinds = number_of(len(lines.hidden), "more kind")
        message = f"and {kinds} of mistakes, in {number_of(cells, 'cell')}"
        yield Problem(Place(str(manifest.path), 1, 1), message)


def _problem(manifest: Manifest, places: Places, line: _Line) -> Problem:
    count, mistake = line.count, line.count.mistake
    model = next(each for each in manifest.models if each.alias == count.alias)
    common = _common(model, mistake.name)
    place = _place(places, count, common)
    shown = f"`{common}`" if common == mistake.name else f"`{common}` (sent as `{mistake.name}`)"
    cells = number_of(count.cells, "cell")
    if line.besides:
        cells += f"; {number_of(line.besides, 'cell')} more with other such values"
    hint = _hint(mistake, place, common)
    proven = "; a run with it succeeded here all the same" if count.proven else ""
    return place.problem(
        f"{shown}: {_named(model)} {mistake.wrong.said} ({cells})"
        f"{f'; {hint}' if hint else ''}{proven}"
    )


def _named(model: Model) -> str:
    own = model.alias != model.id.replace("/", "-")
    return f"{model.alias} ({model.id})" if own else model.id


def _common(model: Model, sent: str) -> str:
    """Return the manifest's name for what a model is sent as *sent*."""
    renamed = (name for name, (target, _) in model.rename.items() if target == sent)
    return next((name for name in renamed if name not in model.omit), sent)


def _place(places: Places, count: Count, common: str) -> AnyPlace:
    ordinal, mistake, model = count.first, count.mistake, places.origin(count.first).model
    place: AnyPlace | None
    if mistake.kind is Kind.UNKNOWN:
        place = places.of_name(ordinal, common)
    elif mistake.token is not None:
        place = places.of_value(ordinal, common)
    elif common in model.omit:
        place = model.omit[common]
    elif common in model.rename and common == mistake.name:  # it is sent under another name
        place = model.rename[common][1]
    else:
        place = places.of_value(ordinal, common)
    return place or places.of_model(ordinal)


def _hint(mistake: Mistake, place: AnyPlace, common: str) -> str:
    """Return what to do: of a value in a data file, what to say of its column."""
    option, file = mistake.wrong.column, _data_file(place)
    if option and file is not None and (option == "files" or file.suffix.lower() == ".csv"):
        column = place.column if isinstance(place, Field) else common
        return f"say `rows: {{file: {file.name}, {option}: [{column}]}}`"
    return mistake.wrong.hint


def _data_file(place: AnyPlace) -> PurePath | None:
    return place.data_file if isinstance(place, Field) else None
