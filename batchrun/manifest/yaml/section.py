"""One mapping of the manifest, read key by key: what is wrong becomes a Problem, no exception.

The parsers it is given know no places; the section adds place, key and what was found. So one pass
finds everything there is to fix.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from batchrun.base.text import did_you_mean
from batchrun.base.values import HiddenValueError, spell
from batchrun.errors import Problem
from batchrun.manifest.yaml.document import ListNode, MapNode, Node, ScalarNode

T = TypeVar("T")

REQUIRED: Final[Any] = object()
SECRETS: Final = {
    "RUNFLOW_API_KEY": "is the key",
    "RUNFLOW_WEBHOOK_SECRET": "is the secret of callbacks",
}
"""Variables that go nowhere, and what they are."""


def plain_value(node: Node) -> Any:
    """Return what a node holds as plain values, with nothing in it interpreted."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain_value(item) for item in node.items]
        case MapNode():
            return {text_of(key): plain_value(value) for key, value in node.entries}
        case _:
            raise AssertionError(node)


def text_of(key: ScalarNode) -> str:
    return key.value if type(key.value) is str else key.text


def text_keys(node: MapNode, problems: list[Problem]) -> Iterator[tuple[ScalarNode, str, Node]]:
    """Yield key node, name and value of each entry; a key that is not text is a problem."""
    for key, value in node.entries:
        if type(key.value) is not str:
            problems.append(key.problem(f'the key `{key.text}` is not text; write "{key.text}"'))
        yield key, text_of(key), value


class Environment:
    """The environment as `${env:NAME}` sees it: without what goes nowhere.

    Each variable that was asked for is noted in *noted*.
    """

    def __init__(self, environ: Mapping[str, str], noted: dict[str, str] | None = None) -> None:
        self._environ = environ
        self._noted = {} if noted is None else noted

    def __getitem__(self, name: str) -> str:
        """Return the variable's text; raise ValueError."""
        if name in SECRETS:
            raise ValueError(f"`{name}` {SECRETS[name]}, which is never put into a manifest")
        if name not in self._environ:
            raise ValueError(f"the environment has no `{name}`{did_you_mean(name, self._environ)}")
        try:  # Python has bytes that are no text in the locale as halves of surrogate pairs
            text = self._environ[name].encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError:
            raise ValueError(f"the environment's `{name}` is no text in UTF-8") from None
        self._noted[name] = text
        return text

    def expand(self, text: str) -> str:
        """Return *text* with `${env:NAME}` replaced; raise ValueError for any other `${...}`."""

        def one(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if not match[1].startswith("env:"):
                raise ValueError(f"`{match[0]}` has no value here; only `${{env:NAME}}` works")
            return self[match[1].removeprefix("env:")]

        return re.sub(r"\$\$\{|\$\{([^}]*)\}?", one, text)


class Section:
    """A mapping, its keys taken one after the other; `close` reports the keys that are left."""

    def __init__(
        self, node: MapNode, name: str, problems: list[Problem], environment: Environment
    ) -> None:
        self.node = node
        self.problems = problems
        self.environment = environment
        self._name = name
        self._entries = {text_of(key): (key, value) for key, value in node.entries}
        self._asked: set[str] = set()

    def path(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def find(self, key: str) -> Node | None:
        """Return the value of *key*, and count the key as known."""
        self._asked.add(key)
        found = self._entries.get(key)
        return found[1] if found else None

    def take(self, key: str, parse: Callable[[Any], T], default: T = REQUIRED) -> T:
        """Return the parsed value of *key*; *parse* raises ValueError("expected ...")."""
        node = self.find(key)
        if node is None:
            if default is REQUIRED:
                self.problems.append(self.node.problem(f"`{self.path(key)}` is missing"))
            return default
        value = plain_value(node)
        try:
            return parse(self.environment.expand(value) if type(value) is str else value)
        except HiddenValueError as error:
            problem = node.problem(f"`{self.path(key)}` cannot be used; {error}")
            self.problems.append(replace(problem, excerpt=None))
        except ValueError as error:
            self.problems.append(node.problem(f"`{self.path(key)}` is `{spell(value)}`; {error}"))
        return default

    def section(self, key: str, such_as: str) -> "Section | None":
        """Return the mapping under *key*, or None if there is none; *such_as* shows one."""
        node = self.find(key)
        if node is None:
            return None
        if not isinstance(node, MapNode):
            found = spell(plain_value(node))
            message = f"`{self.path(key)}` is `{found}`; expected keys and values such as {such_as}"
            self.problems.append(node.problem(message))
            return None
        return Section(node, self.path(key), self.problems, self.environment)

    def items(self, key: str, expected: str) -> tuple[Node, ...]:
        """Return the elements of the list under *key*."""
        node = self.find(key)
        if node is None:
            return ()
        if not isinstance(node, ListNode):
            found = spell(plain_value(node))
            self.problems.append(
                node.problem(f"`{self.path(key)}` is `{found}`; expected {expected}")
            )
            return ()
        return node.items

    def close(self) -> None:
        """Report every key that was not taken."""
        for name, (key, _) in self._entries.items():
            if name in self._asked or (not self._name and name.startswith("x-")):
                continue
            hint = did_you_mean(name, self._asked)
            self.problems.append(key.problem(f"unknown key `{self.path(name)}`{hint}"))
