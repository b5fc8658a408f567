"""The command line's one boundary: help, usage, bugs."""

import gc
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from batchrun import errors
from batchrun.cli import COMMANDS, main, overview
from batchrun.commands.error_boundary import guarded
from batchrun.sweep.identity import Identity, write_identity


def test_help_names_every_command_and_waits_for_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import batchrun.cli; batchrun.cli.main(['--help']);"
        "print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert done.stderr.strip() == "['batchrun', 'batchrun.cli']"
    assert all(re.search(rf"^  {name} ", done.stdout, re.MULTILINE) for name in COMMANDS)


def test_a_call_waits_for_no_bar_and_no_downloads_before_there_are_any() -> None:
    program = (
        "import sys, batchrun.commands.run;"
        "from batchrun.runflow.http.client import download_client;"
        "download_client(); print({'tqdm', 'httpcore', 'trio'} & sys.modules.keys())"
    )
    environ = {name: text for name, text in os.environ.items() if "PROXY" not in name.upper()}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environ
    )

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("command", ["plan", "status"])
def test_templates_are_loaded_where_a_page_is_written_alone(tmp_path: Path, command: str) -> None:
    path = tmp_path / "chairs.yaml"
    path.write_text("endpoint: simulator\nmodels: [a/b]\ninputs: {seed: 1}\n")
    program = (
        "import sys; from batchrun.cli import main; main(sys.argv[1:]);"
        "print('jinja2' in sys.modules)"
    )
    words = [sys.executable, "-c", program, command, str(path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout.splitlines()[-1] == "False"


def test_garbage_is_looked_for_once_the_command_is_imported_but_not_in_what_that_made() -> None:
    program = (
        "import atexit, gc; from batchrun.cli import entry;"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 1000)); entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "schema"], check=True, capture_output=True, text=True
    )

    assert done.stdout.splitlines()[-1] == "True True"


def test_a_program_that_calls_main_decides_for_itself_how_garbage_is_looked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = gc.get_freeze_count()

    assert main(["schema"]) == 0

    assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_a_usage_error_is_one_message_and_one_json_object(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["nowhere.yaml", "--json", "--bogus"]) == 2

    shown = capsys.readouterr()
    assert json.loads(shown.out)["exit_code"] == 2
    assert "--bogus" in shown.err


def test_a_bug_exits_with_70_and_names_a_log_without_the_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFLOW_API_KEY", "main")  # a word of the traceback stands for the key

    code = guarded("signals", [])  # a module without a command: nobody expects that

    message = capsys.readouterr().err
    log = Path(message.split()[-1])
    text = log.read_text()
    log.unlink()
    assert code == 70
    assert "a bug in batchrun" in message
    assert "Traceback" in text
    assert "main" not in text


def tree(kind: type[errors.BatchrunError], depth: int = 0) -> list[str]:
    below = [line for child in kind.__subclasses__() for line in tree(child, depth + 1)]
    return [f"{'  ' * depth}* {kind.__name__} ({kind.exit_code})", *below]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert "\n".join(tree(errors.BatchrunError)) in (errors.__doc__ or "")


def test_the_first_in_the_order_of_severity_is_the_exit_code() -> None:
    assert errors.most_severe([0, 1, 3]) == 3
    assert errors.most_severe([5, 3, 8]) == 5
    assert errors.most_severe([]) == 0


def test_a_command_of_a_later_version_is_not_taken_for_a_manifest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", "m.yaml"]) == 2

    assert "not in this version" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_help_names_has_help_of_its_own(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "batchrun", name, "--help"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert re.match(rf"usage: batchrun {'MANIFEST' if name == 'help' else name} ", done.stdout)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["paln", "ok.yaml"], "no command or manifest `paln`; did you mean `plan`?"),
        (["paln"], "no command or manifest `paln`; did you mean `plan`?"),
        (["zebra", "--json"], "no command or manifest `zebra`; see `batchrun --help`"),
        (["help", "paln"], "no command or manifest `paln`; did you mean `plan`?"),
        (["nothere.yaml"], "nothere.yaml: cannot read the manifest"),
        (["./paln"], "paln: cannot read the manifest"),
        (["m.yaml", "--concurency", "3"], "unknown option `--concurency`; did you mean `--conc"),
        (["--concurency=3", "m.yaml"], "unknown option `--concurency`; did you mean `--conc"),
        (["status", "m.yaml", "--lable", "x"], "unknown option `--lable`; did you mean `--label`?"),
        (["m.yaml", "--conc", "5"], "unknown option `--conc`; did you mean `--concurrency`?"),
        (["m.yaml", "--xyzzy"], "unknown option `--xyzzy`; see `batchrun run --help`"),
        (["status", "m.yaml", "n.yaml"], "unknown argument `n.yaml`; see `batchrun status --help`"),
        (
            ["m.yaml", "n.yaml"],
            "`n.yaml` is one too many: one manifest is taken at a time; call `batc",
        ),
        (["plan", "m.yaml", "n.yaml"], "`n.yaml` is one too many: one manifest is taken at a time"),
        (
            ["m.yaml", "n.yaml", "--json"],
            "`n.yaml` is one too many: one manifest is taken at a tim",
        ),
    ],
)
def test_a_slip_in_the_command_line_is_named(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(words) == 2

    said = capsys.readouterr().err
    assert said.startswith(says) if "cannot read" in says else f"batchrun: {says}" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bud"], "no command or manifest `bud`; did you mean `bud.yaml`?"),
        (["bud.yml"], "no such file or directory; did you mean `bud.yaml`?"),
        (["plan", "bod.yaml"], "no such file or directory; did you mean `bud.yaml`?"),
        (["plan", "zebra.yaml"], "cannot read the manifest: no such file or directory\n"),
        (["zebra.yaml"], "exit code 2: correct the path, then run `batchrun zebra.yaml`; zebra.y"),
        (["status", "bud"], "`bud` is no folder of a sweep, and no manifest; did you mean `bud.y"),
        (["status", "./zebra"], "`zebra` is no folder of a sweep, and no manifest\n"),
    ],
)
def test_a_manifest_that_is_not_there_has_its_near_miss_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bud.yaml").touch()

    assert main(words) == 2

    said = capsys.readouterr().err
    assert says in said
    assert "fix 1 mistake" not in said


def test_a_log_has_the_exit_code_of_a_mistake_in_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["m.yaml", "--conc", "5"])

    last = capsys.readouterr().err.splitlines()[-1]
    assert last[20:].startswith(" exit code 2: fix the error, then run it again: unknown option")


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    assert capsys.readouterr().out == f"{overview()}\n"

    with pytest.raises(SystemExit):
        main(["help", "plan"])
    assert capsys.readouterr().out.startswith("usage: batchrun plan ")


@pytest.mark.parametrize(
    ("command", "ledger"),
    [([], ""), ([], "{}\n{}\n"), (["plan"], "{}\n{}\n"), (["plan"], ""), (["status"], "")],
)
def test_a_lost_ledger_is_rebuilt_by_the_whole_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], ledger: str
) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text("name: chairs\nmodels: [a/b]\n")
    words = [str(manifest), "--endpoint", "simulator", "--label", "a b"]
    folder = tmp_path / "outputs/@simulator/chairs/@a b"
    folder.mkdir(parents=True)
    write_identity(folder, Identity(sweep="k3f9", name="chairs", endpoint="simulator"))
    (folder / "ledger.jsonl").write_text(ledger)

    assert main([*command, *words]) == 9

    rebuild = shlex.join(["batchrun", "recover", *words])
    assert f"or rebuild it with `{rebuild}`\n" in capsys.readouterr().err


def test_a_manifest_needs_no_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chairs").write_text("models: [a/b]\nendpoint: simulator\n")

    assert main(["chairs", "--dry-run"]) == 0


def test_init_writes_a_manifest_that_can_be_planned(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    [written] = tmp_path.glob("*.yaml")

    assert main([str(written), "--dry-run"]) == 0


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast", "1e9", ""])
def test_a_simulator_of_no_speed_is_a_usage_error(
    speed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", f"--speed={speed}"]) == 2
    assert "expected a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize("secret", ["", "whsec_é"])
def test_a_simulator_of_no_secret_is_a_usage_error(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", f"--callback-secret={secret}"]) == 2
    assert "expected a secret in ASCII, such as whsec_abc" in capsys.readouterr().err
