"""`batchrun report` with other formats, and with a table of chosen columns."""

import json
import locale
import shutil
import sys
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.exports.excel import EXCEL_CSV
from batchrun.exports.metadata import METADATA
from batchrun.results.result_files import MANIFEST, RESULTS_CSV, RESULTS_JSONL
from batchrun.results.starts import STARTS

MANIFEST_TEXT = """
name: chairs
endpoint: simulator
models: [google/nano-banana-2, {id: openai/gpt-image-1.5, alias: gpt}]
inputs: {prompt: [a red chair, a blue chair]}
vars: {take: [1, 2]}
poll: {interval: 1ms}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "chairs.yaml").write_text(MANIFEST_TEXT)
    assert main([str(folder / "chairs.yaml"), "--quiet"]) == 0
    return folder


@pytest.fixture
def place(swept: Path, tmp_path: Path) -> Path:
    """Return a folder with a manifest of its own, and its sweep."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def sweep_of(place: Path) -> Path:
    return place / "outputs/@simulator/chairs"


def test_what_is_asked_for_is_written_and_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = sweep_of(place)
    (sweep / RESULTS_CSV).unlink()

    assert main(["report", str(place / "chairs.yaml"), "--format", "csv,metadata", "--excel"]) == 0

    said = capsys.readouterr().out
    assert f"{sweep / EXCEL_CSV}: 8 rows\n" in said
    assert f"{sweep / METADATA}: 4 files\n" in said
    assert (sweep / RESULTS_CSV).exists()
    lines = [json.loads(line) for line in (sweep / METADATA).read_text("utf-8").splitlines()]
    assert all((sweep / "files" / each["file_name"]).is_file() for each in lines)
    assert {each["prompt"] for each in lines} == {"a red chair", "a blue chair"}


def test_parquet_is_written_where_its_package_is(place: Path) -> None:
    read = pytest.importorskip("pyarrow.parquet").read_table

    assert main(["report", str(sweep_of(place)), "--format", "parquet"]) == 0

    assert read(sweep_of(place) / "results.parquet").num_rows == 8


def test_parquet_without_its_package_is_exit_2_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "batchrun.exports.parquet", raising=False)
    (sweep_of(place) / RESULTS_CSV).unlink()

    assert main(["report", str(sweep_of(place)), "--format", "excel-csv,parquet"]) == 2

    assert "pip install '.[parquet]'" in capsys.readouterr().err
    assert not (sweep_of(place) / RESULTS_CSV).exists()
    assert not (sweep_of(place) / EXCEL_CSV).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "parqet"], "did you mean `parquet`?"),
        (["--format", ""], "expected some of jsonl, csv, excel-csv, parquet, metadata"),
        (["--delimiter", ";"], "`--delimiter` is that of --excel"),
        (["--excel", "--delimiter", "x"], "expected one of"),
        (["--columns", "promt"], "did you mean `prompt`?"),
        (["--columns", ""], "names no column"),
    ],
)
def test_what_cannot_be_is_exit_2(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["report", str(place / "chairs.yaml"), *words]) == 2

    shown = capsys.readouterr()
    assert said in shown.err
    assert not shown.out


@pytest.mark.parametrize(("point", "first"), [(",", "prompt;take;"), (".", "prompt,take,")])
def test_excel_s_separator_is_that_of_the_locale(
    place: Path, monkeypatch: pytest.MonkeyPatch, point: str, first: str
) -> None:
    monkeypatch.setattr(locale, "localeconv", lambda: {"decimal_point": point})

    assert main(["report", str(place / "chairs.yaml"), "--excel"]) == 0

    assert (sweep_of(place) / EXCEL_CSV).read_text("utf-8-sig").startswith(first)


def test_a_locale_that_is_not_installed_is_no_failure(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = locale.setlocale(locale.LC_NUMERIC)
    monkeypatch.setenv("LC_ALL", "xx_XX.nothing")

    assert main(["report", str(place / "chairs.yaml"), "--excel"]) == 0

    assert (sweep_of(place) / EXCEL_CSV).read_text("utf-8-sig").startswith("prompt,take,")
    assert locale.setlocale(locale.LC_NUMERIC) == before


def test_chosen_columns_alone_are_on_stdout(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(place / "chairs.yaml"), "--columns", "alias,take,cost"]) == 0

    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["alias", "take", "cost"]
    assert len(lines) == 2 + 8 + 2
    assert lines[-1].split() == ["total", "0.426"]
    assert "report.html: 8 rows" in shown.err


def test_chosen_columns_and_all_counts_are_one_json_object(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["report", str(place / "chairs.yaml"), "--json"]
    assert main(words) == 0
    without = json.loads(capsys.readouterr().out)

    assert main([*words, "--columns", "take,cost"]) == 0

    found = json.loads(capsys.readouterr().out)
    rows = found.pop("rows")
    assert found.pop("columns") == ["take", "cost"]
    assert found.pop("columns_cost") == found["cost"] == "0.426"
    assert [each["take"] for each in rows] == [1, 1, 2, 2] * 2
    assert found == without


def test_without_a_manifest_the_results_of_the_last_call_are_taken(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = sweep_of(place)
    shutil.rmtree(sweep / STARTS)
    (sweep / MANIFEST).unlink()
    identity = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps(identity | {"manifest": None}))

    assert main(["report", str(sweep), "--excel"]) == 0
    shown = capsys.readouterr().out
    assert f"no manifest can be read: {RESULTS_JSONL} is as the last call has left it" in shown
    assert f"{sweep / EXCEL_CSV}: 8 rows" in shown

    (sweep / RESULTS_JSONL).unlink()
    assert main(["report", str(sweep), "--excel"]) == 2
    assert "no manifest to write them by" in capsys.readouterr().err
