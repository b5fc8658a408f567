"""A Parquet file of the results, with typed columns. Only this module needs pa."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from batchrun.base.output_store import OutputStore
from batchrun.base.times import moment
from batchrun.exports.survey import Kind, Survey
from batchrun.results.result_files import as_json

PARQUET: Final = "results.parquet"

AT_ONCE: Final = 10_000
"""Rows of one group: so many are in memory."""

DECIMALS: Final = 9
"""Of costs, where no cost has more: nights whose costs differ have one type all the same."""


def write_parquet(store: OutputStore, rows: Iterable[Mapping[str, Any]], known: Survey) -> None:
    """Write *rows*, a group at a time."""
    schema = pa.schema([_field(name, kind, known) for name, kind in known.kinds.items()])
    rest = iter(rows)
    with store.replacing(PARQUET) as file, ParquetWriter(file, schema) as writer:
        while (group := _group(rest, known, schema)).num_rows:
            writer.write_batch(group)


def _group(rows: Iterator[Mapping[str, Any]], known: Survey, schema: Any) -> Any:
    """Return the next of *rows* as pyarrow has them; an empty group behind the last."""
    taken = list(islice(rows, AT_ONCE))
    arrays = [
        pa.array([converted(row.get(name), kind) for row in taken], type_)
        for (name, kind), type_ in zip(known.kinds.items(), schema.types, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _field(name: str, kind: Kind, known: Survey) -> Any:
    types: Mapping[Kind, Callable[[], Any]] = {
        Kind.BOOLEAN: pa.bool_,
        Kind.INTEGER: pa.int64,
        Kind.NUMBER: pa.float64,
        Kind.TEXT: pa.string,
        Kind.TEXTS: lambda: pa.list_(pa.string()),
        Kind.TIME: lambda: pa.timestamp("us", tz="UTC"),
        Kind.MONEY: lambda: _money_type(known),
        Kind.JSON: pa.string,
    }
    # What a reader can't see from the type alone: this text is JSON.
    metadata = {"batchrun": "json"} if kind is Kind.JSON else None
    return pa.field(whole(name), types[kind](), metadata=metadata)


def _money_type(known: Survey) -> Any:
    if known.decimals <= DECIMALS and known.digits <= 38 - DECIMALS:
        return pa.decimal128(38, DECIMALS)
    return pa.decimal256(76, known.decimals)


def whole(text: str) -> str:
    """Return *text*, half a surrogate pair in it as its escape: Parquet is UTF-8, as the CSV is."""
    return text.encode("utf-8", "backslashreplace").decode()


def _as_it_is(value: Any) -> Any:
    return value


_CONVERTED: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.BOOLEAN: _as_it_is,
    Kind.INTEGER: _as_it_is,
    Kind.NUMBER: _as_it_is,
    Kind.TEXT: whole,
    Kind.TEXTS: lambda value: [whole(each) for each in value],
    Kind.TIME: moment,
    Kind.MONEY: Decimal,
    Kind.JSON: lambda value: whole(as_json(value)),
}


def converted(value: Any, kind: Kind) -> Any:
    """Return *value* as pyarrow takes it for a column of *kind*."""
    return None if value is None else _CONVERTED[kind](value)
