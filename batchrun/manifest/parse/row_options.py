"""How `rows` takes the columns of its files: which are sent, their types, what separates them."""

from collections.abc import Iterator, Mapping
from typing import Final

from batchrun.manifest.data.column_types import ColumnType
from batchrun.manifest.data.data_file import RowOptions
from batchrun.manifest.data.sheets import Sheets
from batchrun.manifest.yaml.section import Section

OF_COLUMNS: Final = ("send", "template", "text", "number", "boolean", "files")
"""The keys of `rows` that name columns."""

_TYPED: Final[Mapping[str, ColumnType]] = {
    **dict.fromkeys(("files", "template", "lists", "text"), ColumnType.TEXT),
    "number": ColumnType.NUMBER,
    "boolean": ColumnType.BOOLEAN,
}
"""The keys that say the type of a column: a path and a template are texts."""

_NOT_BOTH: Final = {
    "number": ("text", "files", "template", "lists"),
    "boolean": ("text", "number", "files", "template", "lists"),
}
"""The keys that say another type."""

_DELIMITERS: Final[Mapping[str, str]] = {
    **{mark: mark for mark in ",;|\t"},
    "\\t": "\t",  # in single quotes, or in none
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
}


def row_options(section: Section) -> RowOptions:
    """Read how columns are to be taken; what is wrong goes to the section's problems."""
    names = {key: section.take(key, _names, None) for key in OF_COLUMNS}
    lists = section.take("lists", _separators, dict[str, str]())
    delimiter = section.take("delimiter", _delimiter, None)
    section.close()
    send = names.pop("send")
    columns = {key: value or frozenset() for key, value in names.items()}
    return RowOptions(send=send, lists=lists, delimiter=delimiter, **columns)


def types_of(options: RowOptions) -> dict[str, ColumnType]:
    """Return the types that the manifest says."""
    return {name: said for key, said in _TYPED.items() for name in getattr(options, key)}


def misfits(data: Sheets) -> Iterator[str]:
    """Yield each column that is said to be of two types, or of one that its file says itself."""
    for key, others in _NOT_BOTH.items():
        for name in sorted(getattr(data.options, key)):
            for other in others:
                if name in getattr(data.options, other):
                    yield f"`rows.{key}`: `{name}` is also in `{other}`; keep one of them"
            if not data.has_csv:
                yield (
                    f"`rows.{key}`: the values of {data.written} have the types that JSON gives "
                    f"them; take `{name}` out"
                )


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(type(name) is str for name in value):
        raise ValueError("expected a list of column names such as [prompt]")
    return frozenset(value)


def _separators(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        type(mark) is str and mark and type(name) is str for name, mark in value.items()
    ):
        raise ValueError('expected columns and what separates their values such as {photos: "|"}')
    return value


def _delimiter(value: object) -> str:
    """Return the character that separates columns; raise ValueError."""
    found = _DELIMITERS.get(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('expected one of ",", ";", "|" and tab, such as `delimiter: ";"`')
    return found
