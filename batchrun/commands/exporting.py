"""The results in other formats, as a command line asks for them: the options, and the work."""

import argparse
import locale
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from batchrun.base.output_store import OutputStore
from batchrun.base.said import is_terminal
from batchrun.base.text import number_of
from batchrun.commands.options import value
from batchrun.errors import UsageError
from batchrun.exports.chosen_columns import WIDEST, chosen, json_parts, table
from batchrun.exports.excel import EXCEL_CSV, MOST_ROWS, write_excel
from batchrun.exports.formats import (
    Format,
    parse_formats,
    parse_separator,
    separator_of,
    wanted,
)
from batchrun.exports.kept_rows import KeptRows, open_rows
from batchrun.exports.metadata import METADATA, write_metadata
from batchrun.exports.survey import Survey, survey
from batchrun.results.result_files import RESULTS_JSONL
from batchrun.results.summary import Summary


class Exports(Struct, frozen=True, kw_only=True):
    """What is asked for beside the results: *formats*, and a table of *columns*."""

    formats: tuple[Format, ...]
    separator: str | None
    columns: str | None

    def __bool__(self) -> bool:
        return bool(self.formats) or self.columns is not None


def add_exports(parser: argparse.ArgumentParser) -> None:
    """Add the options; `take_exports` takes them out of what is parsed."""
    group = parser.add_argument_group("the results in other formats")
    group.add_argument(
        "--format",
        type=value(parse_formats),
        action="append",
        default=[],
        metavar="NAME,...",
        help="also write excel-csv, parquet or metadata; jsonl and csv are always written",
    )
    group.add_argument(
        "--excel",
        action="append_const",
        const=[Format.EXCEL],
        dest="format",
        help=f"also write {EXCEL_CSV}, for a double click; short for --format excel-csv",
    )
    group.add_argument(
        "--delimiter",
        type=value(parse_separator),
        metavar="CHARACTER",
        help=f"what separates the fields of {EXCEL_CSV}; the default is that of the locale",
    )
    group.add_argument(
        "--columns", metavar="NAME,...", help="print a table of these columns of the results"
    )


def take_exports(values: dict[str, Any]) -> Exports:
    """Take what `add_exports` added out of the parsed *values*; UsageError for what can't be.

    What a format needs is looked for before anything is written.
    """
    given = values.pop("format"), values.pop("delimiter"), values.pop("columns")
    exports = Exports(formats=wanted(given[0]), separator=given[1], columns=given[2])
    if exports.separator is not None and Format.EXCEL not in exports.formats:
        raise UsageError("`--delimiter` is that of --excel, which isn't asked for")
    if Format.PARQUET in exports.formats:
        try:
            import batchrun.exports.parquet  # noqa: F401  (whether it is there)
        except ImportError as error:
            raise UsageError(
                f"`--format parquet` needs its extra ({error.name} is missing): install batchrun "
                "with it, in its clone `pip install '.[parquet]'`"
            ) from None
    return exports


@contextmanager
def exported(exports: Exports, store: OutputStore) -> Iterator["Exported | None"]:
    """Write what is asked for; give what else can be said of the rows, None for nothing asked."""
    if not exports:
        yield None
        return
    with open_rows(store.path(RESULTS_JSONL)) as rows:
        known = survey(rows)
        names = None if exports.columns is None else chosen(exports.columns, known)
        said = [_write(each, exports, store, rows, known) for each in exports.formats]
        yield Exported(rows=rows, known=known, names=names, said=said)


class Exported(Struct, frozen=True, kw_only=True):
    """The open rows of which exports were written, and what was *said* of these."""

    rows: KeptRows
    known: Survey
    names: list[str] | None
    said: list[str]

    def print_table(self) -> None:
        """Print the chosen columns, cut to a width that can be read where a person reads them."""
        most = WIDEST if is_terminal(sys.stdout) else None
        for line in table(self.rows, self.known, self.names or [], most=most):
            print(line)

    def print_json(self, summary: Summary) -> None:
        """Print *summary* and the chosen columns as one JSON object."""
        for part in json_parts(self.rows, self.known, self.names or [], summary.as_dict()):
            print(part, end="")
        print()


def _write(
    what: Format, exports: Exports, store: OutputStore, rows: KeptRows, known: Survey
) -> str:
    match what:
        case Format.EXCEL:
            write_excel(store, rows, known, separator=exports.separator or _of_the_locale())
            return f"{store.path(EXCEL_CSV)}: {number_of(known.rows, 'row')}{_too_many(known)}"
        case Format.METADATA:
            number = write_metadata(store, rows, known)
            return f"{store.path(METADATA)}: {number_of(number, 'file')}"
        case Format.PARQUET:
            from batchrun.exports.parquet import PARQUET, write_parquet

            write_parquet(store, rows, known)
            return f"{store.path(PARQUET)}: {number_of(known.rows, 'row')}"


def _too_many(known: Survey) -> str:
    return f", of which Excel shows {MOST_ROWS - 1:,}" if known.rows >= MOST_ROWS else ""


def _of_the_locale() -> str:
    """Return what separates fields on this system, by how it writes numbers."""
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        locale.setlocale(locale.LC_NUMERIC, "")
        return separator_of(str(locale.localeconv()["decimal_point"]))
    except locale.Error:  # it names a locale that isn't installed
        return separator_of(".")
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
