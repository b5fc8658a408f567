"""Mistakes of input: each at its line, those of one kind counted, only in cells that are sent."""

from pathlib import Path
from typing import Any

import pytest
from input_checks import NANO, Sheet, described, everything, nothing_proven, text
from msgspec.structs import replace

from batchrun.catalogue.checks import check_cells
from batchrun.catalogue.proof import About, Question
from batchrun.errors import ManifestError
from batchrun.manifest.cell_key import cell_key
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand

TAKES = "it takes `1:1`, `2:3`, `16:9`; did you mean `16:9`?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_grid_without_a_mistake_has_no_problem_and_makes_no_cell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano]
inputs: {prompt: "a ${color} chair", aspect_ratio: [1:1, 16:9], seed: {$range: [1, 20000]}}
vars: {color: [red, blue]}
repeat: 20
""",
    )

    def no_cell(_cell: Cell) -> bool:
        raise AssertionError("a cell was made")

    found = sheet.check(wanted=no_cell)

    assert (found.errors, found.warnings, found.refusal) == ((), (), None)


def test_an_element_of_an_axis_is_named_with_its_place_and_its_cells(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano]
inputs:
  prompt: [a chair, a table, a bed]
  aspect_ratio: [1:1, 16:10]
""",
    )

    assert sheet.errors() == [
        f"m.yaml:5:23: `aspect_ratio`: google/nano doesn't take `16:10` (3 cells); {TAKES}"
    ]


def test_the_refusal_shows_the_line_and_a_caret(folder: Path) -> None:
    sheet = Sheet(folder, "models: [google/nano]\ninputs: {prompt: a chair, seed: x}\n")

    refusal = sheet.check().refusal

    assert isinstance(refusal, ManifestError)
    assert refusal.exit_code == 2
    assert str(refusal).splitlines()[1:] == [
        "  2 | inputs: {prompt: a chair, seed: x}",
        "    |                           ^^^^",
        "nothing was sent; `--input-errors warn` sends such cells all the same",
    ]


def test_three_mistakes_in_a_sheet_are_found_with_row_and_column(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [google/nano]\nrows: prompts.csv\n",
        prompts_csv=(
            "prompt,aspect_ratio,num_images\n"
            "a red chair,1:1,2\n"
            "a blue chair,16:10,2\n"
            '"a chair,\nin two lines",1:1,9\n'
            "no,2:3,1\n"
        ),
    )

    assert sheet.errors() == [
        f"prompts.csv:3:14: `aspect_ratio`: google/nano doesn't take `16:10` (1 cell); {TAKES}",
        "prompts.csv:5:19: `num_images`: google/nano takes 1 to 4, not `9` (1 cell)",
        (
            "prompts.csv:6:1: `prompt`: google/nano takes 3 to 40 characters, not the 2 of `no` "
            "(1 cell)"
        ),
    ]


def test_lines_of_json_have_their_row_too(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [google/nano]\nrows: p.jsonl\n",
        p_jsonl='{"prompt": "a chair"}\n\n{"prompt": "a bed", "seed": "7"}\n',
    )

    assert sheet.errors() == [
        (
            "p.jsonl:3:1: `seed`: google/nano takes a whole number, not `7`, text (1 cell); "
            "write `7` without quotes"
        )
    ]


def test_a_column_that_is_said_to_be_text_is_mended_by_another_option(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [a/b]\nrows: {file: p.csv, text: [seed, loud]}\n",
        p_csv="seed,loud,steps\n007,TRUE,3 \n",
    )
    descriptions = {"a/b": described(seed="integer", loud="boolean", steps="integer")}

    assert [each.rpartition("; ")[2] for each in sheet.errors(descriptions=descriptions)] == [
        "say `rows: {file: p.csv, number: [seed]}`",
        "say `rows: {file: p.csv, boolean: [loud]}`",
        "say `rows: {file: p.csv, number: [steps]}`",
    ]


def test_a_column_of_numbers_that_are_text_is_mended_by_its_option(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [a/b]\nrows: p.csv\n",
        p_csv="duration,image\n5,one.png\n",
    )
    descriptions = {"a/b": described(duration="string", image="image")}

    assert [each.rpartition("; ")[2] for each in sheet.errors(descriptions=descriptions)] == [
        "say `rows: {file: p.csv, text: [duration]}`",
        "say `rows: {file: p.csv, files: [image]}`",
    ]


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        ("inputs: {prompt: a chair, seed: x}", "2:27"),
        ("inputs: {prompt: a chair, seed: [1, x]}", "2:37"),
        ("inputs: {prompt: a chair, seed: [1, {$range: [2, 4]}, 5, x]}", "2:58"),
        ("inputs: {prompt: a chair, seed: {$lines: l.txt}}", "2:33"),
        ("inputs: {prompt: a chair, seed: '${s}'}\nvars: {s: [1, x]}", "3:15"),
        ("inputs: {prompt: a chair, seed: '${s}'}\nvars: {s: '${r}', r: x}", "3:19"),
        ("inputs: {prompt: a chair, seed: '<${s}>'}\nvars: {s: [1]}", "2:33"),
        ("inputs: {prompt: a chair}\nzip: {seed: [1, x], num_images: [1, 2]}", "3:17"),
        ("inputs: {prompt: a chair}\nrows: [{seed: 1}, {seed: x}]", "3:26"),
        ("inputs: {prompt: a chair, seed: x}\nrows: [{seed: 1}, {}]", "2:27"),
        ("inputs: {prompt: a chair}\ninclude: [{seed: 1}, {seed: x}]", "3:23"),
        ("inputs: {prompt: a chair, seed: x}\ninclude: [{prompt: a bed}]\nexclude: [{seed: x}]",
         "2:27"),
    ],
)  # fmt: skip
def test_wherever_a_value_stands_its_line_is_found(folder: Path, manifest: str, place: str) -> None:
    sheet = Sheet(folder, f"models: [google/nano]\n{manifest}\n", l_txt="one\ntwo\n")

    [line] = {each.partition(": ")[0] for each in sheet.errors()}

    assert line == f"m.yaml:{place}"


def test_the_models_own_values_stand_at_the_model(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models:
  - id: google/nano
    alias: nano
    inputs: {seed: [1, x], aspect_ratio: "${aspect_ratio}"}
    map: {num_images: {2: 9, 3: 3}}
inputs: {prompt: a chair, aspect_ratio: [1:1, 9:16], num_images: [2, 3]}
""",
    )

    assert [line.partition(":  ")[0].split(" (")[0] for line in sheet.errors()] == [
        "m.yaml:5:24: `seed`: nano",
        "m.yaml:6:11: `num_images`: nano",
        "m.yaml:7:47: `aspect_ratio`: nano",
    ]
    assert "nano (google/nano) takes a whole number, not `x`, text (4 cells)" in sheet.errors()[0]
    assert "takes 1 to 4, not `9` (4 cells)" in sheet.errors()[1]


def test_a_renamed_input_is_called_by_both_its_names(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models:
  - {id: google/nano, rename: {ratio: aspect_ratio}}
  - {id: google/nano, alias: other, rename: {ratio: shape}}
inputs: {prompt: a chair, ratio: 16:10}
""",
    )

    errors = sheet.errors()

    assert errors[0].startswith(
        "m.yaml:4:46: `ratio` (sent as `shape`): other (google/nano) has no"
    )
    assert errors[1].startswith(
        "m.yaml:5:27: `ratio` (sent as `aspect_ratio`): google/nano doesn't"
    )
    assert len(errors) == 2


def test_what_is_omitted_or_mapped_away_is_not_sent_and_no_mistake(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models:
  - {id: google/nano, omit: [steps], map: {seed: {x: 1, y: {$omit: true}}}}
inputs: {prompt: a chair, steps: 5, seed: [x, y]}
""",
    )

    assert sheet.errors() == []


def test_a_needed_input_that_is_not_given_is_said_at_the_model(folder: Path) -> None:
    sheet = Sheet(folder, "models:\n  - google/nano\ninputs: {seed: [1, 2]}\n")

    assert sheet.errors() == [
        "m.yaml:2:5: `prompt`: google/nano needs this input, and it is not given (2 cells)"
    ]


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        ("- {id: google/nano, omit: [prompt]}\ninputs: {prompt: a chair}", "m.yaml:2:28"),
        ("- {id: google/nano, rename: {prompt: text}}\ninputs: {prompt: a chair}", "m.yaml:2:30"),
        ("- {id: google/nano, map: {prompt: {x: {$omit: true}}}}\ninputs: {prompt: x}",
         "m.yaml:2:27"),
        ("- google/nano\ninputs: {prompt: [a chair, {$omit: true}]}", "m.yaml:3:28"),
        ("- google/nano\ninputs: {prompt: [a chair, null]}", "m.yaml:3:28"),
        ("- google/nano\nrows: p.csv", "p.csv:3:1"),
        ("- google/nano\nrows: [{prompt: a chair}]\ninclude: [{seed: 3}]",
         "m.yaml:4:11"),
    ],
)  # fmt: skip
def test_where_a_needed_input_goes_missing_is_found(
    folder: Path, manifest: str, place: str
) -> None:
    sheet = Sheet(folder, f"models:\n{manifest}\n", p_csv="prompt,seed\na chair,1\n,2\n")

    errors = [each for each in sheet.errors() if "needs " in each]

    assert errors[-1].startswith(f"{place}: `prompt`: google/nano needs ")


def test_an_unknown_input_is_said_at_its_name_once_for_all_its_values(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [google/nano]\nrows: p.csv\ninputs:\n  sead: {$range: [1, 50]}\n",
        p_csv="prompt,stile\na chair,oil\na bed,ink\n",
    )

    assert sheet.errors() == [
        "m.yaml:4:3: `sead`: google/nano has no such input (100 cells); did you mean `seed`?",
        (
            "p.csv:1:8: `stile`: google/nano has no such input (100 cells); it takes `prompt`, "
            "`aspect_ratio`, `num_images`, `image_urls`, `seed`"
        ),
    ]


def test_a_file_of_the_disk_is_media_and_its_bare_name_is_not(folder: Path) -> None:
    (folder / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n0")
    sheet = Sheet(
        folder,
        """
models: [google/nano]
inputs:
  prompt: a chair
  image_urls: [[{$file: one.png}], [one.png], {$file: one.png}]
""",
    )

    assert sheet.errors() == [
        (
            "m.yaml:5:36: `image_urls`: google/nano takes an address, a data URI, an asset or a "
            "file, not `one.png` (1 cell); a local file is `{$file: one.png}`"
        ),
        (
            "m.yaml:5:47: `image_urls`: google/nano takes a list of addresses or files, not "
            '`"one.png"`, a file (1 cell); put it in a list, and that in another: `[[…]]`'
        ),
    ]


def test_a_text_from_a_template_names_the_row_that_made_it_too_long(folder: Path) -> None:
    sheet = Sheet(
        folder,
        'models: [google/nano]\nrows: {file: p.csv, send: []}\ninputs: {prompt: "a ${thing}"}\n',
        p_csv=f"thing\nchair\n{'x' * 50}\n",
    )

    [error] = sheet.errors()

    assert error.startswith(
        "m.yaml:3:18: `prompt`: google/nano takes 3 to 40 characters, not the 52"
    )
    assert error.endswith("(row at p.csv:3)")


# Which cells.


def test_an_excluded_cell_is_no_mistake(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano, {id: google/nano, alias: other}]
inputs: {prompt: a chair, aspect_ratio: [1:1, 16:10], seed: [1, 2]}
exclude: [{model: google/nano, aspect_ratio: 16:10, seed: 1}, {model: other, aspect_ratio: 16:10}]
""",
    )

    assert [line.partition(" (")[2][:7] for line in sheet.errors()] == ["1 cell)"]


def test_where_all_wrong_cells_are_excluded_no_cell_is_made(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano, {id: google/nano, alias: other}]
inputs: {prompt: "${p}", aspect_ratio: [1:1, 16:10], seed: [1, x], num_images: [1, 2]}
vars: {p: [a chair, no]}
exclude:
  - {aspect_ratio: 16:10, num_images: 1}
  - {aspect_ratio: 16:10, num_images: 2}
  - {model: [google/nano, other], seed: x}
  - {p: no}
""",
    )

    def no_cell(_cell: Cell) -> bool:
        raise AssertionError("a cell was made")

    assert sheet.check(wanted=no_cell).errors == ()


def test_replicates_that_were_asked_for_beyond_repeat_are_looked_at(folder: Path) -> None:
    sheet = Sheet(folder, 'models: [google/nano]\ninputs: {prompt: "try ${replicate}"}\n')
    short = {"google/nano": described(prompt=text(max=5))}
    loaded = sheet.loaded
    [first] = expand(loaded)
    made = cell_key("google/nano", {"prompt": "try 10"}, 10)

    found = check_cells(
        replace(loaded, redone={first.key: {made: 10}}),
        short,
        wanted=everything,
        proof=nothing_proven,
    )

    assert [each.message.partition(" (")[0] for each in found.errors] == [
        "`prompt`: google/nano takes at most 5 characters, not the 6 of `try 10`"
    ]


def test_cells_that_are_not_sent_are_no_mistake(folder: Path) -> None:
    sheet = Sheet(folder, "models: [google/nano]\ninputs: {prompt: a chair, seed: [1, x, y, z]}\n")

    def wanted(cell: Cell) -> bool:
        return bool(cell.input["seed"] in {1, "y"})

    assert len(sheet.errors()) == 3
    assert [line.partition(":  ")[0].split(":")[2] for line in sheet.errors(wanted=wanted)] == [
        "40"
    ]
    assert sheet.errors(wanted=lambda cell: cell.input["seed"] == 1) == []


def test_replicates_are_counted_and_folded_points_are_not(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano]
inputs: {prompt: [a chair, a chair], seed: x}
vars: {unused: [1, 2]}
repeat: 3
""",
    )

    assert "(3 cells)" in sheet.errors()[0]
    assert len(list(expand(sheet.loaded))) > 3


def test_only_the_drawn_points_of_a_sample_are_looked_at(folder: Path) -> None:
    manifest = """
models: [google/nano]
inputs: {prompt: a chair, seed: [x, {$range: [1, 99]}]}
sample: {n: 5, seed: SEED}
"""

    found = set()
    for seed in range(40):
        sheet = Sheet(folder, manifest.replace("SEED", str(seed)))
        drawn = any(cell.input["seed"] == "x" for cell in expand(sheet.loaded))
        assert bool(sheet.errors()) is drawn
        found.add(drawn)

    assert found == {True, False}


def test_a_model_without_a_description_has_no_mistakes(folder: Path) -> None:
    sheet = Sheet(folder, "models: [google/nano, a/b]\ninputs: {prompt: a chair, seed: x}\n")

    assert sheet.errors(descriptions={"a/b": described()}) == []
    assert len(sheet.errors(descriptions={"a/b": NANO})) == 1


# Many.


def test_one_bad_value_in_a_hundred_thousand_cells_is_one_line(folder: Path) -> None:
    sheet = Sheet(
        folder,
        """
models: [google/nano]
inputs: {prompt: a chair, seed: {$range: [1, 20000]}, num_images: [1, 2, 3, 4, 5]}
""",
    )

    assert sheet.errors() == [
        "m.yaml:3:80: `num_images`: google/nano takes 1 to 4, not `5` (20,000 cells)"
    ]


def test_of_many_values_of_one_kind_few_have_a_line(folder: Path) -> None:
    sheet = Sheet(
        folder,
        "models: [google/nano]\ninputs: {prompt: a chair, num_images: {$range: [1, 2004]}}\n",
    )

    errors = sheet.errors()

    assert len(errors) == 5
    assert ["; 1,995 cells more with other such values)" in each for each in errors].count(
        True
    ) == 1


def test_each_kind_has_a_line_before_any_has_a_second(folder: Path) -> None:
    names = [f"input_{number}" for number in range(30)]
    inputs = "".join(f"  {name}: [a, b, c]\n" for name in names)
    sheet = Sheet(folder, f"models: [a/b]\nzip:\n{inputs}")
    descriptions = {"a/b": described(**dict.fromkeys(names, "integer"))}

    errors = sheet.errors(descriptions=descriptions)

    assert len(errors) == 21
    assert len({each.partition("`")[2].partition("`")[0] for each in errors[:20]}) == 20
    assert errors[20] == "m.yaml:1:1: and 10 more kinds of mistakes, in 30 cells"


# What is doubtful.


def test_a_list_that_its_text_calls_open_is_a_warning(folder: Path) -> None:
    sheet = Sheet(folder, "models: [a/b]\ninputs: {size: [small, vast, auto]}\n")
    size = text(enum=["small", "large"], description="small, large; auto also")

    found = sheet.check({"a/b": described(size=size)})

    assert found.errors == ()
    assert found.refusal is None
    assert [line.split(" (")[0] for line in sheet.lines(found.warnings)] == [
        "m.yaml:2:24: `size`: a/b doesn't take `vast`",
        "m.yaml:2:30: `size`: a/b doesn't take `auto`",
    ]


def test_what_a_succeeded_run_proves_is_a_warning_and_the_rest_stays_an_error(
    folder: Path,
) -> None:
    sheet = Sheet(
        folder,
        "models: [google/nano]\ninputs: {seed: [x, y], steps: [5, 6]}\n",
    )
    asked: list[Any] = []

    def proof(questions: Any) -> Any:
        asked.extend(questions)
        return {
            Question("google/nano", "seed", About.VALUE, "x"),
            Question("google/nano", "steps", About.GIVEN),
        }

    found = sheet.check(proof=proof)

    assert {(each.name, each.about, each.token) for each in asked} == {
        ("seed", About.VALUE, "x"),
        ("seed", About.VALUE, "y"),
        ("steps", About.GIVEN, None),
        ("prompt", About.ABSENT, None),
    }
    assert [line.partition(" (")[0] for line in sheet.lines(found.errors)] == [
        "m.yaml:1:10: `prompt`: google/nano needs this input, and it is not given",
        "m.yaml:2:20: `seed`: google/nano takes a whole number, not `y`, text",
    ]
    assert all("a run with it succeeded" in each.message for each in found.warnings)
    assert len(found.warnings) == 2


@pytest.mark.parametrize("says", ["", "or any other"])
def test_values_beyond_those_that_are_counted_one_by_one_are_counted_and_unproven(
    folder: Path, says: str
) -> None:
    sheet = Sheet(folder, "models: [google/nano]\ninputs: {a: {$range: [1, 3000]}}\n")
    known = {"google/nano": described(a={"enum": [0], "description": says})}

    found = sheet.check(known)
    proven = sheet.check(known, proof=lambda questions: questions)

    [some] = [line for line in (*found.errors, *found.warnings) if "cells more" in line.message]
    assert "(1 cell; 2,995 cells more with other such values)" in some.message
    assert bool(found.errors) is bool(proven.errors) is (not says)
