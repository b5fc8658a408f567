"""The options of a call by keyword: the settings by their names, and the rest of a command line."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypedDict

from msgspec import Struct

from batchrun.base.no_file import DASH, is_no_file
from batchrun.base.text import did_you_mean
from batchrun.base.values import parse_flag, parse_id
from batchrun.commands.run_options import Options
from batchrun.commands.target import Place
from batchrun.errors import UsageError
from batchrun.settings import SETTINGS, Setting

AnyPath = str | os.PathLike[str]
Money = Decimal | str | int | float
Time = str | timedelta
"""A time as a manifest has it, such as "30s" or "15m", or a timedelta."""


class Keywords(TypedDict, total=False):
    """The options of a call. Each does what the command line's option does.

    *endpoint*, *outputs* and *label* say which sweep is meant. *only* chooses cells: by a mapping
    of names to a value or several, or by texts such as "color=red". *recover* is True, or the id of
    a sweep; *reuse* are folders. *yes* agrees to what `confirm_above` asks about. *progress* shows
    a bar, or lines, on stderr. The others are the settings of docs/manifest.md, by their names.
    """

    endpoint: str | None
    outputs: AnyPath | None
    label: str | None
    only: Mapping[str, Any] | Sequence[str] | None
    recover: bool | str
    reuse: AnyPath | Sequence[AnyPath]
    yes: bool
    progress: bool
    concurrency: int
    rate: str
    attempts: int
    timeout: Time
    settle: Time
    budget: Money
    budget_per_day: Money
    confirm_above: Money
    give_up: Time
    batch: int
    downloads: int
    input_errors: str
    poll_interval: Time
    limit: int | None
    max_duration: Time | None
    retry_failed: bool
    resubmit_in_doubt: bool
    set_aside: str | Sequence[str]
    trust_key: bool
    allow_short: bool
    new_types: bool
    download: bool
    logs: str
    drain: bool
    fail_on: int | str


NAMES: Final = frozenset(Keywords.__annotations__)
BY_NAME: Final[Mapping[str, Setting]] = {each.name: each for each in SETTINGS}
BY_FLAG: Final = {
    each.flag.lstrip("-").replace("-", "_"): each.name for each in SETTINGS if each.flag
}


class Asked(Struct, frozen=True):
    """The options that were asked for, and the *words* that a command line would have for them."""

    options: Options
    words: tuple[str, ...]


def asked_for(path: Path, keywords: Mapping[str, Any]) -> Asked:
    """Return what *keywords* ask for of the manifest at *path*; UsageError for a wrong one."""
    _check_names(keywords)
    given = {name: value for name, value in keywords.items() if value is not None}
    place = Place(
        endpoint=_text(given, "endpoint"),
        outputs=_path("outputs", given["outputs"]) if "outputs" in given else None,
        label=_text(given, "label"),
    )
    only = _only(given.get("only", ()))
    reuse = tuple(_path("reuse", each) for each in _several(given.get("reuse", ())))
    chosen, words = _settings(given)
    of_place = {"--endpoint": place.endpoint, "--outputs": place.outputs, "--label": place.label}
    said = [word for name, each in of_place.items() if each for word in (name, str(each))]
    said += [word for each in only for word in ("--only", each)]
    options = Options(
        manifest=path,
        place=place,
        chosen=chosen,
        only=only,
        recover=_recover(given.get("recover", False)),
        reuse=reuse,
        dry_run=False,
        json=False,
        quiet=not _flag(given, "progress"),
        no_progress=False,
        verbose=False,
        yes=_flag(given, "yes"),
        asks=False,
    )
    named = DASH if is_no_file(path) else str(path)
    return Asked(options, (named, *said, *words))


def _check_names(keywords: Mapping[str, Any]) -> None:
    for name in keywords:
        if name not in NAMES:
            meant = BY_FLAG.get(name)
            near = f"; did you mean `{meant}`?" if meant else did_you_mean(name, NAMES)
            raise UsageError(f"unknown option `{name}`{near or '; docs/python.md names them all'}")


def _settings(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that are given, and how a command line says them."""
    chosen, words = {}, list[str]()
    for name, setting in BY_NAME.items():
        if name not in given:
            continue
        value = given[name]
        if setting.parse is None:
            chosen[name] = _flag(given, name)
            words += _words_of_flag(setting, on=chosen[name])
            if setting.key is None and not setting.choices and not chosen[name]:
                del chosen[name]  # a switch that isn't thrown
            continue
        value = _spelled(value)
        try:
            chosen[name] = setting.parse(value)
        except ValueError as error:
            raise UsageError(f"`{name}` is {given[name]!r}: {error}") from None
        words += [setting.flag or "", str(value)]
    return chosen, words


def _words_of_flag(setting: Setting, *, on: bool) -> list[str]:
    assert setting.flag is not None
    if setting.choices:
        return [setting.flag, next(word for word, value in setting.choices.items() if value is on)]
    return [setting.flag] if on is setting.value else []


def _spelled(value: Any) -> Any:
    """Return a value as the table's parsers take it."""
    match value:
        case timedelta():
            seconds = Decimal(value // timedelta(microseconds=1)) / 1_000_000
            return f"{seconds.normalize():f}s"
        case Decimal():
            return str(value)
        case list() | tuple():
            return ",".join(map(str, value))
        case _:
            return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    try:
        return parse_flag(given.get(name, False))
    except ValueError:
        raise UsageError(f"`{name}` is {given[name]!r}: expected True or False") from None


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"`{name}` is {value!r}: expected text")
    return value


def _path(name: str, value: Any) -> Path:
    try:
        return Path(value)
    except TypeError:
        raise UsageError(f"`{name}` is {value!r}: expected a path") from None


def _recover(value: Any) -> str | None:
    if isinstance(value, bool):
        return "" if value else None
    try:
        return parse_id(value)
    except ValueError as error:
        raise UsageError(f"`recover` is {value!r}: {error}") from None


def _only(value: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Mapping):
        return tuple(value)
    return tuple(f"{name}={','.join(map(_word, _several(each)))}" for name, each in value.items())


def _word(value: Any) -> str:
    """Return a value as `--only` takes it."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case _:
            return str(value).replace("\\", "\\\\").replace(",", "\\,")


def _several(value: Any) -> Sequence[Any]:
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
