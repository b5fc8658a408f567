"""The lines of a JSONL file -> rows of values, each number in its one spelling."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from batchrun.manifest.data.mistake import Mistake
from batchrun.manifest.yaml.scalars import normal, number


def jsonl_rows(
    lines: Iterable[str], columns: dict[str, int]
) -> Iterator[tuple[int, dict[str, Any] | Mistake]]:
    """Yield line and values of each row that has any.

    Put each name into *columns* with its first line.
    """
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        row = _row(line, text)
        if not row:  # {}
            continue
        if isinstance(row, dict):
            for name in row:
                columns.setdefault(name, line)
        yield line, row


def _row(line: int, text: str) -> dict[str, Any] | Mistake:
    try:
        value = _DECODER.decode(text)
        if not isinstance(value, dict):
            raise ValueError("expected an object such as {…} on each line")  # noqa: TRY301, TRY004 one way out
        json.dumps(value, ensure_ascii=False).encode()
        row: dict[str, Any] = normal(value)
    except json.JSONDecodeError as error:
        return Mistake(line, f"this is not JSON: {error.msg}", column=error.colno)
    except UnicodeEncodeError:
        return Mistake(line, "half of a surrogate pair is not text", column=1)
    except RecursionError:
        return Mistake(line, "nested too deep", column=1)
    except ValueError as error:
        return Mistake(line, str(error), column=1)
    return row


def _no_constant(text: str) -> Any:
    raise ValueError(f"`{text}` is not a number that can be sent")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice}` is given twice")
    return value


_DECODER: Final = json.JSONDecoder(
    parse_float=number, parse_int=number, parse_constant=_no_constant, object_pairs_hook=_unique
)
