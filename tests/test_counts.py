"""Whatever is counted has a ceiling, and a grid that is too large is refused, never walked."""

from pathlib import Path

import pytest

from batchrun.base.ceilings import MOST_CELLS, MOST_HELD, MOST_POINTS, MOST_REPLICATES
from batchrun.errors import ManifestError
from batchrun.manifest.grid.dimensions import dimension_sizes
from batchrun.manifest.grid.expand import upper_bound
from batchrun.manifest.grid.layout import build
from batchrun.manifest.grid.traversal import Traversal
from batchrun.manifest.load import read_manifest
from batchrun.manifest.manifest import Manifest
from batchrun.settings import SETTINGS

MODEL = "models: [{id: google/nano-banana-2, alias: banana}]\n"


def read(text: str) -> Manifest:
    return read_manifest((MODEL + text).encode(), Path("m.yaml"), {})


def mistakes(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return [each.message for each in caught.value.problems]


HUGE = ["100000000001", str(2**63 - 1), str(2**63), "1180591620717411303424", "1e30"]


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    "text",
    [
        "repeat: {}",
        "sample: {{n: {}}}",
        "limits: {{concurrency: {}}}",
        "limits: {{attempts: {}}}",
        "limits: {{downloads: {}}}",
        "limits: {{batch: {}}}",
        "limits: {{budget: {}}}",
        "inputs: {{seed: {{$range: [1, {}]}}}}",
        "inputs: {{seed: {{$range: [-{0}, {0}, 0.001]}}}}",
        "include: [{{seed: {{$range: [1, {}]}}}}]",
        'repeat: {}\nmetadata: {{a: "x ${{p}}"}}\nvars: {{p: null}}',
        "repeat: {}\nexclude: [{{promt: 1}}]",
    ],
)
def test_no_count_is_without_a_ceiling(text: str, number: str) -> None:
    found = mistakes(text.format(number))

    assert 1 <= len(found) <= 2
    assert any("at most" in each or "more than" in each or " to 100" in each for each in found)


def test_a_count_on_the_command_line_has_a_ceiling() -> None:
    for setting in SETTINGS:
        if setting.metavar == "N" and setting.parse is not None:
            with pytest.raises(ValueError, match=r"at most [\d,]+$|to 100$"):
                setting.parse("1180591620717411303424")


@pytest.mark.parametrize("sample", ["", "sample: {n: 5}\n"])
def test_a_product_beyond_all_numbers_is_refused_at_once(sample: str) -> None:
    axes = "".join(f"  a{number}: {{$range: [1, 100]}}\n" for number in range(30))

    [message] = mistakes(f"{sample}inputs:\n{axes}")

    assert "about 10^60" in message


def test_as_many_cells_as_the_ceiling_are_taken_and_one_more_is_not() -> None:
    assert upper_bound(read(f"inputs: {{seed: {{$range: [1, {MOST_CELLS}]}}}}")) == MOST_CELLS
    [message] = mistakes(f"inputs: {{seed: {{$range: [0, {MOST_CELLS}]}}}}")
    assert "this comes to 100,000,001 cells, and a manifest has 100,000,000 at most" in message
    [message] = mistakes(f"inputs: {{seed: {{$range: [1, {MOST_CELLS}]}}}}\ninclude: [{{x: 1}}]")
    assert "this comes to 100,000,001 cells" in message


def test_a_sample_draws_from_more_than_the_cells_of_a_manifest() -> None:
    drawn = f"inputs: {{seed: {{$range: [1, {MOST_POINTS}]}}}}\nsample: {{n: 5}}"

    assert upper_bound(read(drawn)) == 5
    assert "draws from 1,000,000,000 at most" in mistakes(f"{drawn}\nvars: {{x: [1, 2]}}")[0]


@pytest.mark.parametrize(
    "text",
    [
        "zip: {{x: [{{$range: [1, {}]}}]}}",
        "inputs: {{config: {{x: [{{$range: [1, {}]}}]}}}}",
        "inputs: {{x: [[{{$range: [1, {}]}}]]}}",
        "inputs: {{x: 1}}\nexclude: [{{x: [{{$range: [1, {}]}}]}}]",
    ],
)
def test_a_list_that_is_no_axis_is_held_and_has_a_ceiling(text: str) -> None:
    assert mistakes(text.format(MOST_HELD + 1)) == [
        "this list has 1,000,001 values; expected at most 1,000,000"
    ]


def test_a_walk_whose_points_all_fail_ends() -> None:
    found = mistakes(
        f'repeat: {MOST_REPLICATES}\ninputs: {{prompt: "${{replicate}} ${{p}}"}}\nvars: {{p: null}}'
    )

    assert found == ["`p` is null, but `${replicate} ${p}` needs text or a number"]


def test_a_walk_ends_after_so_many_points_without_a_value() -> None:
    manifest = read('repeat: 5000\ninputs: {prompt: "${replicate} ${p}"}\nvars: {p: x}')
    [grid] = manifest.grids
    layout = build(grid, grid.models[0], dimension_sizes(grid), [])
    layout.constants["p"] = None  # stands in no text
    walk = Traversal(layout, [])

    assert list(walk.points()) == []
    assert walk.values["replicate"] == 1000
