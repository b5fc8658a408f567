"""docs/benchmarks.md is what the program writes, and README cites it; figures are nobody's here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import rooms
from benchmarks.__main__ import NAMES, PAGE, SECTIONS
from benchmarks.page import Findings, Goal, Section, page_of, parts_of, table, verdict, written

ROOT = Path(__file__).parent.parent
TEXT = PAGE.read_text(encoding="utf-8")
HEAD, PARTS = parts_of(TEXT)
GOAL = Goal(what="of httpx's", most=1.25)
FIGURE = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?")


def cited() -> list[str]:
    """Return README's sentences that lead to the page, without their links."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    items = re.split(r"\n\n|\n(?=- )", readme)
    told = [item for item in items if "](docs/benchmarks.md)" in item and FIGURE.search(item)]
    return [re.sub(r"\[[^]]*\]\([^)]*\)", "", item) for item in told]


def test_the_page_has_the_sections_of_the_program_in_their_order() -> None:
    assert list(PARTS) == [section.title for section in SECTIONS]


@pytest.mark.parametrize("section", SECTIONS, ids=NAMES)
def test_the_page_has_the_goals_of_the_program(section: Section) -> None:
    _, _, rows = PARTS[section.title].partition("| goal | asked | measured | is |\n")
    shown = [row.strip("| ").split(" | ")[:2] for row in rows.splitlines()[1:]]

    assert shown == [[goal.what, goal.asked] for goal in section.goals]


def test_the_page_counts_the_goals_it_shows() -> None:
    assert verdict(PARTS.values()) in HEAD.replace("\n", " ")


def test_the_page_names_no_place() -> None:
    assert not re.search(r"(?<!\w)/(?:work|tmp|home|root|usr)\b", TEXT)


def test_the_page_can_be_read_at_one_sitting() -> None:
    assert len(TEXT.splitlines()) < 280


def test_each_figure_that_the_readme_cites_stands_in_the_page() -> None:
    figures = {sentence: FIGURE.findall(sentence) for sentence in cited()}
    there = set(FIGURE.findall(TEXT))

    assert len(figures) >= 3
    for sentence, cited_figures in figures.items():
        assert set(cited_figures) <= there, sentence


@pytest.mark.parametrize(
    ("goal", "measured", "row"),
    [
        (Goal(what="x", most=1.25), 1.25, ("x", "at most 1.25", "1.25", "met")),
        (Goal(what="x", most=1.25), 1.26, ("x", "at most 1.25", "1.26", "**missed**")),
        (Goal(what="x", least=7, form=".1f"), 7.0, ("x", "at least 7", "7.0", "met")),
        (Goal(what="x", least=7, form=".1f"), 6.9, ("x", "at least 7", "6.9", "**missed**")),
        (Goal(what="x", most=0.05, form=".1%"), 0.049, ("x", "at most 5%", "4.9%", "met")),
        (Goal(what="x", least=2), None, ("x", "at least 2", "not measured", "unknown")),
    ],
)
def test_a_goal_says_plainly_whether_it_is_met(
    goal: Goal, measured: float | None, row: tuple[str, ...]
) -> None:
    assert goal.row(measured) == row


def test_a_section_can_be_replaced_and_the_others_stay() -> None:
    def measure(*, quick: bool) -> Findings:
        return Findings(["Told.", table(("", "s"), [("a", "1")])], [1.3])

    section = Section(name="a", title="A cost", measure=measure, goals=[GOAL])
    text = written(section, measure(quick=True), "*(Today.)*")

    head, parts = parts_of(page_of(["# Benchmarks", "Words."], [text, "## Another\n\nOld."]))

    assert head == "# Benchmarks\n\nWords."
    assert parts == {"A cost": text, "Another": "## Another\n\nOld."}
    assert text.startswith("## A cost\n\nTold. *(Today.)*\n\n| ")
    assert verdict(parts.values()) == "Of 1 goals 0 are met, 1 missed."


@pytest.mark.nightly
def test_a_quick_run_of_the_cheap_sections_prints_them_and_leaves_the_page() -> None:
    before = PAGE.read_bytes()
    names = ["calls", "ledger", "grid"]

    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", ",".join(names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    _, parts = parts_of(done.stdout)
    assert list(parts) == [section.title for section in SECTIONS if section.name in names]
    for text in parts.values():
        assert "\n| --- | ---: |" in text
    assert PAGE.read_bytes() == before


def test_a_section_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.__main__ import sections  # noqa: PLC0415

    with pytest.raises(Exception, match="no section lunch; there are runs, profile, "):
        sections("runs,lunch")


def test_the_rooms_that_the_profile_names_are_there() -> None:
    there = {path.name for path in (ROOT / "batchrun" / "runflow").iterdir() if path.is_dir()}

    assert there >= rooms.RUNFLOW.keys()


@pytest.mark.parametrize(
    ("module", "room"),
    [
        ("batchrun.runflow.ratelimit.limiter", "limiter"),
        ("batchrun.runflow.client", "client"),
        ("batchrun.ledger.file", "ledger"),
        ("batchrun.manifest.grid.expand", "manifest and grid"),
        ("batchrun.cli", "command line"),
        ("httpx._client", "httpx"),
        ("asyncio.events", "event loop"),
        ("json.encoder", None),
    ],
)
def test_a_module_is_in_the_room_it_belongs_to(module: str, room: str | None) -> None:
    assert rooms.room_of(module) == room
