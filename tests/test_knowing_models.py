"""Before anything is sent, descriptions are at hand, and an id that is a mistake is refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from called import Sweep, ask, created
from processes import simulator

from batchrun.catalogue.entries import Entries, decode, encode
from batchrun.cli import main
from batchrun.sweep.location import CATALOGUE, output_folder

ONE = """\
name: one
models: [google/nano-banana-2]
inputs: {prompt: [chair, stool]}
poll: {interval: 500ms}
"""
UNKNOWN = """\
name: other
models:
  - google/nano-banana-2
  - id: google/nano-banana-3
    alias: banana
inputs: {prompt: a red chair}
"""
pytestmark = pytest.mark.slow
Make = Callable[[str, str], Sweep]


@pytest.fixture
def make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Make:
    monkeypatch.setenv("RUNFLOW_API_KEY", "rf_live_test")
    return lambda text, url: Sweep(tmp_path, url, text, capsys)


def described(url: str) -> int:
    """Return how many requests for models have been answered."""
    requests = ask(url, "/_simulator/stats")["requests"]
    return sum(n for name, n in requests.items() if name.split()[0] in {"model", "models"})


def cached(folder: Path) -> Path:
    [path] = folder.rglob(CATALOGUE)
    return path


def aged(path: Path, by: timedelta) -> None:
    """Let all that is cached be older."""
    kept = decode(path.read_bytes())
    for model, entry in kept.models.items():
        kept.models[model] = type(entry)(at=entry.at - by, body=entry.body)
    path.write_bytes(encode(Entries(models=kept.models)))


def test_a_sweep_asks_once_for_a_model_and_the_next_one_not_at_all(
    tmp_path: Path, make: Make
) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        assert make(ONE, url).call()[0] == 0
        first = described(url)
        code, report, _ = make(ONE.replace("chair, stool", "table, lamp"), url).call()
        second = described(url)
        cached(tmp_path).unlink()
        make(ONE + "# edited: the long way, with nothing to send\n", url).call()

        assert (code, report["succeeded"]) == (0, 2)
        assert (first, second, described(url)) == (1, 1, 1)


def test_an_unknown_model_is_refused_with_its_line_and_the_nearest_names(
    tmp_path: Path, make: Make
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        for options in ([], ["--dry-run"]):
            code, report, said = make(UNKNOWN, url).call(*options)

            assert code == 2
            assert "m.yaml:4:9: the service has no model `google/nano-banana-3`" in said
            assert "did you mean `google/nano-banana-2` or `google/nano-banana-pro`" in said
            assert "4 |   - id: google/nano-banana-3" in said
            [problem] = report["error"]["problems"]
            assert (problem["line"], problem["column"]) == (4, 9)
        assert created(url) == 0


def test_a_model_that_came_since_it_was_refused_is_found(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        make(ONE, url).call("--limit", "1")
        path = cached(tmp_path)
        kept = json.loads(path.read_text())
        absent = {"at": datetime.now(UTC).isoformat(), "body": None}
        kept["models"]["google/nano-banana-pro"] = absent
        kept["listed"] = {"at": absent["at"], "ids": ["google/nano-banana-2"]}
        path.write_text(json.dumps(kept))
        text = ONE.replace("nano-banana-2", "nano-banana-pro")

        code, report, _ = make(text.replace("name: one", "name: two"), url).call()

        assert (code, report["succeeded"]) == (0, 2)


def test_a_model_of_cells_beyond_the_limit_is_not_asked_for(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        code, report, _ = make(UNKNOWN, url).call("--limit", "1")

        assert (code, report["succeeded"]) == (3, 1)
        assert make(UNKNOWN, url).call("--limit", "1")[0] == 2


def test_an_unknown_model_is_asked_for_once_more_and_the_list_is_not(
    tmp_path: Path, make: Make
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        make(UNKNOWN, url).call()
        before = described(url)

        assert make(UNKNOWN, url).call()[0] == 2
        assert (before, described(url)) == (3, 4)  # two models, and the list


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ("[nowhere/zebra]", "repeat_ids"),  # a model of an owner that is not listed
        ("[google/nano-banana-3]", "error_before=403/models"),
        ("[google/nano-banana-3]", "error_before=404/models"),
    ],
)
def test_where_it_is_not_sure_an_unknown_model_is_a_warning(
    tmp_path: Path, make: Make, models: str, fault: str
) -> None:
    faults = [] if fault == "repeat_ids" else ["--fault", fault]
    with simulator(tmp_path / "state.sqlite", "--speed", "50", *faults) as url:
        code, report, said = make(ONE.replace("[google/nano-banana-2]", models), url).call()

    assert (code, report["rejected"]) == (1, 2)  # the API itself has refused each cell
    assert "no description of `" in said
    assert "404" in said


def test_a_model_that_has_made_something_here_is_known(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        make(ONE, url).call()
        path = cached(tmp_path)
        kept = json.loads(path.read_text())
        kept["models"]["google/nano-banana-2"]["body"] = None
        kept["listed"] = {"at": datetime.now(UTC).isoformat(), "ids": ["google/nano-banana-pro"]}
        path.write_text(json.dumps(kept))
        for name, prompt in (("one", "table"), ("beside", "lamp")):
            text = ONE.replace("name: one", f"name: {name}").replace("chair, stool", prompt)
            code, _, said = make(text, url).call()

            assert code == 0
            assert "no description of `google/nano-banana-2`" in said


@pytest.mark.parametrize(
    ("fault", "options"),
    [("error_before=403/model", ()), ("error_before_html=404/model", ("--quiet",))],
)
def test_a_description_that_can_not_be_had_ends_no_call(
    tmp_path: Path, make: Make, fault: str, options: tuple[str, ...]
) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50", "--fault", fault) as url:
        code, report, said = make(ONE, url).call(*options)

    assert (code, report["succeeded"]) == (0, 2)
    assert ("no description of `google/nano-banana-2`" in said) == (not options)


def base(folder: Path, url: str) -> Path:
    """Return the folder for the sweeps of the service, made."""
    made = output_folder("x", folder / "m.yaml", endpoint=url).parent
    made.mkdir(parents=True)
    return made


def plan(folder: Path, url: str, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["plan", str(folder / "m.yaml"), "--endpoint", url, *options]) == 0
    return capsys.readouterr().out


def test_a_plan_without_a_key_uses_what_is_cached_and_says_its_age(
    tmp_path: Path,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        make(ONE, url)
        path = base(tmp_path, url) / CATALOGUE
        plan(tmp_path, url, capsys)
        aged(path, timedelta(days=3))
        anew = plan(tmp_path, url, capsys)

        assert described(url) == 2
    monkeypatch.delenv("RUNFLOW_API_KEY")
    fresh = plan(tmp_path, url, capsys)
    aged(path, timedelta(days=3))
    old = plan(tmp_path, url, capsys)

    assert all("about 0.16 USD" in shown for shown in (anew, fresh, old))
    assert all("description" not in shown for shown in (anew, fresh))
    assert "`google/nano-banana-2` is 3 days old: RUNFLOW_API_KEY is not set" in old


def test_a_plan_makes_no_folder(
    tmp_path: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        make(ONE, url)
        plan(tmp_path, url, capsys)

    assert not (tmp_path / "outputs").exists()


def test_a_plan_with_nothing_cached_says_what_is_missing(
    tmp_path: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(ONE, "http://127.0.0.1:9")
    out = plan(tmp_path, "http://127.0.0.1:9", capsys, "--give-up", "1s")

    assert "no description of `google/nano-banana-2`: `http://127.0.0.1:9` gave no good" in out


def test_a_broken_cache_is_said_in_one_line_and_mended(
    tmp_path: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator(tmp_path / "state.sqlite") as url:
        make(ONE, url)
        path = base(tmp_path, url) / CATALOGUE
        plan(tmp_path, url, capsys)
        path.write_bytes(path.read_bytes()[:100])
        shown = plan(tmp_path, url, capsys)
        again = plan(tmp_path, url, capsys)

        assert described(url) == 2
    [line] = [line for line in shown.splitlines() if str(path) in line]
    assert "it holds no catalogue" in line
    assert str(path) not in again


def test_the_descriptions_of_a_call_bound_its_budget(tmp_path: Path, make: Make) -> None:
    with simulator(tmp_path / "state.sqlite", "--speed", "50") as url:
        text = ONE.replace("chair", "chair, table, lamp")
        code, report, _ = make(text, url).call("--budget", "0.20")

        assert code == 6
        assert float(report["cost"]) <= 0.20
        assert described(url) == 1
