"""The entries of `exclude` that match no point of the product: each is a mistake. Pure.

An entry that was meant to drop 120 paid cells and drops none is otherwise seen on the bill. It is
decided over the axes that an entry's names follow from, not over the product with all the rest; and
before anything is excluded or drawn, so that entries may overlap.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct, field

from batchrun.base.text import did_you_mean, listed
from batchrun.base.values import spell
from batchrun.errors import ManifestError, Problem
from batchrun.manifest.cells import OMIT
from batchrun.manifest.grid.layout import Layout
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.manifest import Grid, Rule
from batchrun.manifest.matching import is_among, reads_as, spelling, token, tokens
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode
from batchrun.manifest.yaml.section import text_of

MOST: Final = 200_000
"""Combinations of the values of an entry's names that are looked at; of more, it isn't known."""
_MOST_KNOWN: Final = 1000
_LONGEST: Final = 60
_SHOWN: Final = 3


class _Seen(Struct):
    """What one model has of a name: which of the wanted values, and words for near misses."""

    found: set[Any] = field(default_factory=set)
    words: dict[str, Any] = field(default_factory=dict)
    whole: bool = True  # whether all values were looked at

    def note(self, word: str, value: Any, typed: Container[str]) -> None:
        """Keep a value for near misses, if it is one of few, or is written as one of *typed*."""
        if word in typed or (len(self.words) < _MOST_KNOWN and len(word) <= _LONGEST):
            self.words.setdefault(word, value)


class Unmatched:
    """Looks for the rules of one grid among the points of its models."""

    def __init__(self, rules: Sequence[Rule], layouts: Sequence[Layout]) -> None:
        self._rules = rules
        self._layouts = layouts
        self._wanted: dict[str, set[Any]] = {}
        self._typed: dict[str, set[str]] = {}  # as they are written
        for rule in rules:
            for name, wanted in rule.names.items():
                self._wanted.setdefault(name, set()).update(wanted)
                typed = (word for item in _scalars(rule, name) for word in _spellings(item))
                self._typed.setdefault(name, set()).update(typed)
        self._together: dict[tuple[str, tuple[str, ...]], dict[int, bool | None]] = {}
        self._seen = {
            (layout.model.alias, name): self._look(layout, name)
            for layout in layouts
            for name in self._wanted
        }

    def problems(self, notes: list[Problem]) -> Iterator[Problem]:
        """Yield what is wrong; a rule of which it isn't known goes to *notes*."""
        for rule in self._rules:
            models = [each for each in self._layouts if _is_about(rule, each)]
            lacking = [name for name in rule.names if not self._any(rule, name, models)]
            if not models:
                continue
            if lacking:
                yield self._missing(rule, lacking[0], models)
                continue
            matched = [self._matches(rule, layout) for layout in models]
            if True in matched:
                notes.extend(self.other_kinds(rule))
            elif None in matched:
                notes.append(
                    rule.node.problem(
                        "whether this entry of `exclude` matches a point is not known: its names "
                        f"have more than {MOST:,} combinations of values"
                    )
                )
            else:
                yield rule.node.problem(_never_together(rule))

    def other_kinds(self, rule: Rule) -> Iterator[Problem]:
        """Yield a note for each value that no point has, but as another kind that is written so.

        `007` is the number 7, and a sheet's "007" is text.
        """
        for name in rule.names:
            seen = [self._seen[layout.model.alias, name] for layout in self._layouts]
            found: set[Any] = set().union(*(each.found for each in seen))
            words = {word: value for each in seen for word, value in each.words.items()}
            for item in _scalars(rule, name):
                hint = "" if token(item.value) in found else _same_text(item, words)
                if hint:
                    said = f"no point of the product has `{name}` {_spelled(item)}{hint}"
                    yield item.problem(said)

    def _any(self, rule: Rule, name: str, models: Iterable[Layout]) -> bool:
        """Say whether a name has one of a rule's values, or may have."""
        seen = [self._seen[layout.model.alias, name] for layout in models]
        return any(not each.whole or each.found & rule.names[name] for each in seen)

    def _look(self, layout: Layout, name: str) -> _Seen:
        seen, left = _Seen(), set(self._wanted[name])
        points, typed = _Points(layout, [name]), self._typed[name]
        for values in points:
            value = values.get(name, OMIT)
            for word in tokens(value):
                if word in left:
                    left.discard(word)
                    seen.found.add(word)
            if value is not OMIT:
                seen.note(spelling(value), value, typed)
            if not left:
                break
        seen.whole = points.whole or not left
        return seen

    def _matches(self, rule: Rule, layout: Layout) -> bool | None:
        """Say whether a point of the model matches a rule; None where it isn't known."""
        known: bool | None = True
        for names in _groups(rule, layout):
            found = self._found(rule, layout, names)
            if found is False:
                return False
            known = known and found
        return known

    def _found(self, rule: Rule, layout: Layout, names: Sequence[str]) -> bool | None:
        seen = [self._seen[layout.model.alias, name] for name in names]
        if any(
            each.whole and not each.found & rule.names[name]
            for name, each in zip(names, seen, strict=True)
        ):
            return False
        if len(names) == 1:
            return True if seen[0].found & rule.names[names[0]] else None
        key = layout.model.alias, tuple(sorted(names))
        if key not in self._together:
            self._together[key] = self._walk(layout, key[1])
        return self._together[key].get(id(rule), False)

    def _walk(self, layout: Layout, names: Sequence[str]) -> dict[int, bool | None]:
        """Return of the rules that have all of *names* whether a point matches them: in one walk.

        Those that none matches are not there.
        """
        rules = {id(each): each for each in self._rules if each.names.keys() >= set(names)}
        first = names[0]
        by_word: dict[Any, list[int]] = {}
        for number, rule in rules.items():
            for word in rule.names[first]:
                by_word.setdefault(word, []).append(number)
        found: dict[int, bool | None] = {}
        points = _Points(layout, names)
        for values in points:
            for number in {n for w in tokens(values.get(first, OMIT)) for n in by_word.get(w, ())}:
                if number not in found and _holds(rules[number], names, values):
                    found[number] = True
            if len(found) == len(rules):
                return found
        return found if points.whole else dict.fromkeys(rules) | found

    def _missing(self, rule: Rule, name: str, models: Sequence[Layout]) -> Problem:
        scalars = _scalars(rule, name)
        words: dict[str, Any] = {}
        for layout in models:
            words |= self._seen[layout.model.alias, name].words
        said = listed(map(_spelled, scalars), most=_SHOWN) or "these values"
        near = next((hint for item in scalars if (hint := _near(item, words))), _some(words))
        of = f" of `{models[0].model.alias}`" if rule.models and len(models) == 1 else ""
        return _value_of(rule, name).problem(
            f"this entry of `exclude` matches no point: no cell{of} has `{name}` {said}{near}"
        )


class _Points:
    """The values at each point where *names* differ; at most MOST, *whole* where these are all."""

    def __init__(self, layout: Layout, names: Sequence[str]) -> None:
        self._walk = Traversal(layout.restricted(names), [])
        self.whole = False

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        points = self._walk.points()
        try:
            for _ in islice(points, MOST):
                yield self._walk.values
            self.whole = next(points, None) is None
        except ManifestError:  # a data file that has changed: said while it is expanded
            return


def _is_about(rule: Rule, layout: Layout) -> bool:
    return rule.models is None or not rule.models.isdisjoint({layout.model.alias, layout.model.id})


def _groups(rule: Rule, layout: Layout) -> list[list[str]]:
    """Return the names of a rule in groups that share no dimension: these vary independently."""
    groups: list[tuple[set[int], list[str]]] = []
    for name in rule.names:
        needed = layout.needs([name])
        places = {
            place
            for place, dimension in enumerate(layout.dimensions)
            if needed.intersection(dimension.targets.values())
        }
        names = [name]
        for group in [each for each in groups if each[0] & places]:
            groups.remove(group)
            places |= group[0]
            names = [*group[1], *names]
        groups.append((places, names))
    return [names for _, names in groups]


def _never_together(rule: Rule) -> str:
    names = " and ".join(f"`{name}`" for name in rule.names)
    return (
        f"this entry of `exclude` matches no point: {names} have these values, but never together"
    )


def _value_of(rule: Rule, name: str) -> Node:
    entries = rule.node.entries if isinstance(rule.node, MapNode) else ()
    return next((value for key, value in entries if text_of(key) == name), rule.node)


def _scalars(rule: Rule, name: str) -> list[ScalarNode]:
    return [each for each in _items(_value_of(rule, name)) if isinstance(each, ScalarNode)]


def _items(node: Node) -> Sequence[Node]:
    return node.items if isinstance(node, ListNode) else (node,)


def _spellings(node: ScalarNode) -> Iterator[str]:
    """Yield how a value may stand elsewhere: `007` as it is written, and as the number it is."""
    yield from dict.fromkeys((node.text, spelling(node.value)))


def _holds(rule: Rule, names: Iterable[str], values: Mapping[str, Any]) -> bool:
    return all(is_among(values.get(name, OMIT), rule.names[name]) for name in names)


def _spelled(node: ScalarNode) -> str:
    return _in_yaml(node.value)


def _near(node: ScalarNode, words: Mapping[str, Any]) -> str:
    """Return the value that was meant: it is written so, and of another kind, or nearly so."""
    if (hint := _same_text(node, words)) or len(words) >= _MOST_KNOWN:
        return hint
    if (word := reads_as(node.text, words)) is not None:
        return _meant(words[word])
    return did_you_mean(node.text, (word for word, value in words.items() if type(value) is str))


def _meant(value: Any) -> str:
    return f"; did you mean {_in_yaml(value)}?"


def _in_yaml(value: Any) -> str:
    return f'"{spell(value)}"' if type(value) is str else spell(value)


def _some(words: Mapping[str, Any]) -> str:
    """Name the first values of a name, where none of them is near to what was typed."""
    some = [_in_yaml(value) for value in islice(words.values(), _SHOWN)]
    return f"; it has values such as {', '.join(some)}" if some else ""


def _same_text(node: ScalarNode, words: Mapping[str, Any]) -> str:
    for text in _spellings(node):
        if text in words:
            return _meant(words[text])
    return ""


def included(grids: Sequence[Grid], layouts: Sequence[Layout]) -> Iterator[Problem]:
    """Yield a note for each value of an `include` that the product has as another kind.

    *layouts* are those of the product, which is the first of *grids*.
    """
    known = {name for layout in layouts for name in layout.uses}
    for grid in grids[1:]:
        if isinstance(grid.node, MapNode):
            given = {text_of(key): value for key, value in grid.node.entries}
            names = {
                name: frozenset(
                    token(item.value) for item in _items(value) if isinstance(item, ScalarNode)
                )
                for name, value in given.items()
                if name in known
            }
            rule = Rule(grid.node, names)
            yield from Unmatched([rule], layouts).other_kinds(rule)
