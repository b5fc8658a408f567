"""`batchrun models`: the table, a model's page, and what is shown where nothing can be asked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from called import ask, asked
from processes import simulator
from raw_server import answer, raw_server

from batchrun.catalogue.entries import entries_of
from batchrun.catalogue.kept import keep, load
from batchrun.catalogue.page import as_dict, manifest_of, model_page
from batchrun.catalogue.table import model_table
from batchrun.cli import main
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.runflow.descriptions import DescribedInput, Description, parse_description
from batchrun.simulator.model_views import model_object
from batchrun.simulator.models import MODELS
from batchrun.sweep.location import catalogue_below

BANANA = "google/nano-banana-2"


def described(model: str) -> Description:
    return parse_description(model_object(MODELS[model]))


# What is shown of a description.


def test_the_table_has_a_line_for_each_model() -> None:
    models = {name: described(name) for name in (BANANA, "bria/background/remove")}

    assert [" ".join(line.split()) for line in model_table(models)[2:]] == [
        "bria/background/remove $0.018/request 0.018 USD a run, 2026-05 image_list 2",
        f"{BANANA} Usage-based, per image 0.08 USD an image, 2026-05 image_list 8",
    ]


def test_what_is_not_said_is_not_made_up() -> None:
    assert model_table({"a/b": Description()})[2].split() == ["a/b", "?", "?", "?", "?"]
    page = "\n".join(model_page("a/b", Description()))
    assert "price: none is said" in page
    assert "its inputs are not described" in page


def test_a_note_of_many_words_is_cut_in_the_table_alone() -> None:
    note = Description(label="Usage-based, per image: " + "depends on the size " * 5)

    assert len(model_table({"a/b": note})[2]) < 80
    assert "depends on the size depends on the size" in "\n".join(model_page("a/b", note))


@pytest.mark.parametrize("width", [80, 44])
def test_on_a_terminal_tables_are_as_wide_as_it_is(width: int) -> None:
    models = {name: described(name) for name in MODELS}
    page = model_page(BANANA, described(BANANA))
    end = page.index("a manifest that runs it:")

    narrow = model_page(BANANA, described(BANANA), width)

    begin = narrow.index("") + 1
    rows = narrow[begin : narrow.index("a manifest that runs it:")]
    assert max(map(len, page[:end])) > 80
    assert max(map(len, rows)) <= width
    assert narrow[-len(page[end:]) :] == page[end:]
    assert ("enable_web_search: boolean, default false" in rows) == (width == 44)
    assert sum(line.startswith("enable_web_search") for line in rows) == 1
    assert max(map(len, model_table(models))) > 80
    table = model_table(models, width)
    assert max(map(len, table)) <= width
    assert [line.split()[0] for line in table[2:]] == sorted(models)


def test_what_an_input_takes_is_wrapped_and_not_lost() -> None:
    says = "what is drawn, in words that a person would use to ask for it " * 3
    given = Description(inputs={"prompt": DescribedInput(says=says)})

    lines = model_page("a/b", given, 60)

    at = next(at for at, line in enumerate(lines) if line.startswith("prompt"))
    end = lines.index("", at)
    takes = [
        line[line.index("what") :] if at == 0 else line.strip()
        for at, line in enumerate(lines[at:end])
    ]
    assert len(takes) > 3
    assert " ".join(takes).split() == says.split()


def test_a_page_says_types_defaults_values_and_bounds() -> None:
    lines = [" ".join(line.split()) for line in model_page(BANANA, described(BANANA))]

    assert "prompt string yes - 3 to 50000 characters; text" in lines
    assert "resolution string no 1K 0.5K, 1K, 2K, 4K; one of a list" in lines
    assert "num_images integer no 1 1 to 4" in lines
    assert "enable_web_search boolean no false -" in lines
    assert "price: Usage-based, per image" in lines


@pytest.mark.parametrize(
    ("given", "takes"),
    [
        (DescribedInput(low=Decimal(1)), "at least 1"),
        (DescribedInput(kind="media_list", high=Decimal(14)), "at most 14 files"),
        (DescribedInput(low=Decimal("0.5"), high=Decimal(2)), "0.5 to 2"),
        (DescribedInput(allowed=(1, True, "a")), "1, true, a"),
        (DescribedInput(allowed=tuple(range(20))), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8"),
        (DescribedInput(), "-"),
    ],
)
def test_what_an_input_takes_is_spelled(given: DescribedInput, takes: str) -> None:
    page = model_page("a/b", Description(inputs={"x": given}))

    assert takes in next(line for line in page if line.startswith("x "))


def test_a_rule_that_is_not_understood_is_named() -> None:
    rule = DescribedInput(ignored=("pattern",))

    assert "`x` has rules that are not understood, and not checked: `pattern`" in model_page(
        "a/b", Description(inputs={"x": rule})
    )


def test_words_of_the_service_move_no_cursor() -> None:
    evil = Description(name="a\x1b[2Jb\nc", label="\r$1", inputs={"x\x1b": DescribedInput()})
    shown = "\n".join([*model_page("a/b", evil), *model_table({"a/b": evil})])

    assert "\x1b" not in shown
    assert "\r" not in shown


@pytest.mark.parametrize("model", MODELS)
def test_the_manifest_of_a_page_is_one_and_has_each_required_input(
    tmp_path: Path, model: str
) -> None:
    description = described(model)
    path = tmp_path / "m.yaml"
    path.write_text("\n".join(manifest_of(model, description)) + "\n")
    [cell] = expand(load_manifest(path, {}))

    assert cell.model == model
    required = {name for name, given in description.inputs.items() if given.required}
    assert required <= cell.input.keys()
    for name, given in description.inputs.items():
        assert given.allowed is None or cell.input.get(name, given.allowed[0]) in given.allowed


def test_odd_names_of_inputs_are_quoted_in_the_manifest(tmp_path: Path) -> None:
    names = ["Aux Reference 1", "no", "a: b", "#x", "é"]
    inputs = {name: DescribedInput(required=True) for name in names}
    path = tmp_path / "m.yaml"
    path.write_text("\n".join(manifest_of("a/b", Description(inputs=inputs))) + "\n")
    [cell] = expand(load_manifest(path, {}))

    assert list(cell.input) == names


def test_json_has_all_of_it() -> None:
    at = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    shown = as_dict(BANANA, described(BANANA), at)

    assert json.loads(json.dumps(shown)) == shown
    assert (shown["id"], shown["price"], shown["at"]) == (
        BANANA,
        "Usage-based, per image",
        "2026-05-01T12:00:00+00:00",
    )
    assert [each["name"] for each in shown["inputs"]] == list(described(BANANA).inputs)
    assert shown["inputs"][0]["low"] == "3"


# The command.


@dataclass
class Shell:
    """A folder with a place for sweeps, in which the command is called."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def call(self, *words: str) -> tuple[int, str, str]:
        code = main(["models", "--outputs", str(self.folder), *words])
        shown = self.capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    def cache(self, endpoint: str, ago: timedelta, *models: str) -> Path:
        path = catalogue_below(self.folder, endpoint)
        path.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        keep(path, entries_of({m: model_object(MODELS[m]) for m in models}, now - ago), now)
        return path


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    return Shell(tmp_path, capsys)


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("state") / "state.sqlite") as served:
        yield served


@pytest.mark.slow
def test_all_models_are_listed_and_the_next_call_asks_nothing(shell: Shell, url: str) -> None:
    catalogue_below(shell.folder, url).parent.mkdir()
    code, out, _ = shell.call("--endpoint", url)
    before = asked(url)
    again = shell.call("--endpoint", url, "google")

    assert code == 0
    assert all(model in out for model in MODELS)
    assert f"{len(MODELS)} models" in out
    assert "6 models" in again[1]
    assert "openai" not in again[1]
    assert asked(url) == before
    one = json.loads(shell.call("--endpoint", url, BANANA, "--json")[1])
    assert [each["id"] for each in one["models"]] == [BANANA]
    assert asked(url) == before


@pytest.mark.slow
def test_one_model_is_asked_for_alone(shell: Shell, url: str) -> None:
    code, out, _ = shell.call("--endpoint", url, BANANA)

    assert code == 0
    assert out.splitlines()[0] == BANANA
    assert "prompt" in out
    assert "ago" not in out
    requests = ask(url, "/_simulator/stats")["requests"]
    assert not [name for name in requests if name.startswith("models")]


@pytest.mark.slow
def test_without_a_key_the_public_list_is_shown(
    shell: Shell, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNFLOW_API_KEY")
    for words, says in (([], f"{len(MODELS)} models"), ([BANANA], "a manifest that runs it")):
        code, out, _ = shell.call("--endpoint", url, *words)
        assert (code, says in out) == (0, True)
    requests = {name.split()[0] for name in ask(url, "/_simulator/stats")["requests"]}
    assert "public_models" in requests
    assert requests.isdisjoint({"model", "models"})


@pytest.mark.slow
@pytest.mark.parametrize("words", [["google/nano-banana-3"], ["gogle/nano-banana-3", "--json"]])
def test_an_id_that_is_not_there_names_the_nearest(
    shell: Shell, url: str, words: list[str]
) -> None:
    code, out, said = shell.call("--endpoint", url, *words)

    assert code == 2
    assert f"did you mean `{BANANA}`" in said
    if "--json" in words:
        assert json.loads(out)["exit_code"] == 2


def test_offline_the_cache_is_shown_with_its_age(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.commands.models.PATIENCE", 0.2)
    dead = "http://127.0.0.1:9"
    shell.cache(dead, timedelta(days=3), BANANA)

    for words in ([], ["nano"], [BANANA]):
        code, out, _ = shell.call("--endpoint", dead, *words)
        assert code == 0
        assert BANANA in out
        assert "as it was 3 days ago: `http://127.0.0.1:9` gave no good answer" in out
    stale = json.loads(shell.call("--endpoint", dead, "--json")[1])
    assert "gave no good answer" in stale["stale"]
    assert shell.call("--endpoint", dead, "zebra")[0] == 2


def test_with_nothing_known_it_ends_as_the_service_did(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.commands.models.PATIENCE", 0.2)
    code, out, said = shell.call("--endpoint", "http://127.0.0.1:9")

    assert (code, out) == (8, "")
    assert "gave no good answer" in said
    assert list(shell.folder.iterdir()) == []  # and it makes no folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("error_before=401/models+auth", 4),
        ("error_before=401/models", 8),  # the account says that the key is right
        ("error_before=403/models", 8),
        ("error_before=404/models", 8),
    ],
)
def test_a_list_that_is_refused_is_said(
    shell: Shell, tmp_path_factory: pytest.TempPathFactory, fault: str, code: int
) -> None:
    state = tmp_path_factory.mktemp("state") / "state.sqlite"
    with simulator(state, "--fault", fault) as url:
        assert shell.call("--endpoint", url)[0] == code
        assert shell.call("--endpoint", url, BANANA)[0] == 0


def test_a_fresh_cache_is_shown_without_a_service(shell: Shell) -> None:
    shell.cache("http://127.0.0.1:9", timedelta(hours=2), BANANA)
    code, out, _ = shell.call("--endpoint", "http://127.0.0.1:9", BANANA)

    assert code == 0
    assert out.endswith("as it was 2 h 0 min ago\n")


@pytest.mark.parametrize("word", ["../../etc", "a//b", "a/..", "%2e/x", "\x1b[2J"])
def test_an_odd_word_is_a_word(shell: Shell, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.commands.models.PATIENCE", 0.1)
    shell.cache("http://127.0.0.1:9", timedelta(0), BANANA)
    code, _, said = shell.call("--endpoint", "http://127.0.0.1:9", word)

    assert code == 2
    assert "\x1b" not in said


def test_the_cache_of_this_folder_is_used_by_default(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "manifests"):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        Shell(tmp_path / "outputs", shell.capsys).cache("http://127.0.0.1:9", timedelta(0), BANANA)
        assert main(["models", BANANA, "--endpoint", "http://127.0.0.1:9"]) == 0
    assert [each.name for each in (tmp_path / "outputs").iterdir()] == ["@127.0.0.1-9"]


def test_a_list_that_leaves_inputs_out_is_shown_and_no_description(shell: Shell) -> None:
    page = json.dumps({"items": [{"slug": BANANA, "pricing_note": "$1/image"}], "next": None})
    with raw_server(["read", answer(page.encode()), "close"]) as server:
        path = catalogue_below(shell.folder, server.url)
        path.parent.mkdir()
        code, out, _ = shell.call("--endpoint", server.url)

    assert code == 0
    assert out.splitlines()[2].split()[:2] == [BANANA, "$1/image"]
    assert out.splitlines()[2].split()[-2:] == ["?", "?"]
    kept, _ = load(path, datetime.now(UTC))
    assert kept.models == {}
    assert kept.listed is not None
    assert kept.listed.ids == (BANANA,)
