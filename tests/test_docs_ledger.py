"""What the documents say of the ledger and the results is what is so."""

import json
import re
from pathlib import Path

import pytest
from ledger_lines import EACH
from msgspec.structs import fields

from batchrun.ledger.book import Book
from batchrun.ledger.history import AFTER, Standing, State
from batchrun.ledger.records import KINDS, Extra, Priced, Record, decode, encode
from batchrun.ledger.replay import replay
from batchrun.results.rows import COLUMNS
from batchrun.results.summary import Summary

DOCS = Path(__file__).parent.parent / "docs"
LEDGER = (DOCS / "ledger.md").read_text(encoding="utf-8")
RESULTS = (DOCS / "results.md").read_text(encoding="utf-8")


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column is called *heading*."""
    _, _, rest = text.partition(f"\n| {heading} |")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def words(rows: list[list[str]]) -> list[str]:
    return [row[0].strip("`") for row in rows]


def example() -> bytes:
    found = re.search(r"```jsonl\n(.*?)```", LEDGER, re.DOTALL)
    assert found is not None
    return found[1].encode()


def test_every_type_of_line_is_documented_with_its_fields_in_their_order() -> None:
    documented = {row[0].strip("`"): row[2].split(", ") for row in table(LEDGER, "type")}
    common = set(Record.__struct_fields__)

    for record in EACH:
        # The order is that of the text: fields that are empty are left out, and so are tested by
        # the longest line there can be.
        names = [name for name in type(record).__struct_fields__ if name not in common]
        assert documented[type(record).__name__.lower()] == names
    assert set(documented) == set(KINDS)


def test_what_may_follow_what_is_documented() -> None:
    documented = [
        (row[0].replace(" ", "_"), row[1].strip("`")) for row in table(LEDGER, "a cell that is")
    ]
    money = {Extra, Priced}
    real = {(str(state), kind.__name__.lower()) for state, kind in AFTER if kind not in money}

    assert set(documented) == real
    assert len(documented) == len(real)
    assert {(state, kind) for state in State for kind in money} <= set(AFTER)


def test_the_example_is_a_ledger_as_we_would_write_it() -> None:
    lines = example().splitlines(keepends=True)
    book = replay(lines, path=Path("ledger.md")).book

    assert book.history("5e0c").state is State.DOUBTFUL
    assert (book.history("5e0c").attempt, book.history("5e0c").failures) == (2, 1)
    for line in lines:
        record = decode(line)
        assert record is not None
        assert encode(record) == line


def test_the_files_of_the_folder_are_documented() -> None:
    names = ", ".join(row[0] for row in table(LEDGER, "file"))

    for name in (
        "ledger.jsonl",
        "sweep.json",
        "lock",
        "manifest.yaml",
        "results.jsonl",
        "results.csv",
    ):
        assert f"`{name}`" in names


def test_every_column_of_the_results_is_documented_in_its_order() -> None:
    assert words(table(RESULTS, "column")) == list(COLUMNS)


def test_every_way_a_cell_can_stand_is_documented() -> None:
    assert words(table(RESULTS, "status")) == list(Standing)


def test_every_field_of_the_json_object_is_documented_in_its_order() -> None:
    assert words(table(RESULTS, "field")) == [field.name for field in fields(Summary)]
    assert str(json.loads(Summary().as_json())["schema"]) == table(RESULTS, "field")[0][1]


@pytest.mark.parametrize("text", [LEDGER, RESULTS], ids=["ledger", "results"])
def test_the_documents_link_to_what_is_there(text: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS / target).exists(), target


def test_an_empty_book_is_what_a_ledger_begins_as() -> None:
    assert vars(replay([], path=Path("x")).book) == vars(Book())
