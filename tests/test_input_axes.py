"""The walk of the axes sees each mistake that a look at all cells would find, and no other."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grid_property import NAMES, Manifest, manifests, scalars, yaml_of

from batchrun.catalogue.axes import suspects
from batchrun.catalogue.checks import CellChecks, check_cells
from batchrun.catalogue.mistakes import DescribedModel, mistakes_of
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest
from batchrun.manifest.manifest import Manifest as Loaded
from batchrun.runflow.descriptions import DescribedInput, Description

KINDS = ("string", "integer", "number", "boolean", "json", None, None)
SENT = (*NAMES, "t", "p", "q", "r", "s", "renamed")


@st.composite
def described_inputs(draw: st.DrawFn) -> DescribedInput:
    allowed = draw(st.one_of(st.none(), st.none(), st.lists(scalars, min_size=1).map(tuple)))
    return DescribedInput(
        kind=draw(st.sampled_from(KINDS)),
        required=draw(st.integers(0, 3)) == 0,
        default=draw(st.one_of(st.none(), scalars)),
        allowed=allowed,
    )


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Draw one that has most of the inputs, and says little of most of them."""
    names = draw(st.lists(st.sampled_from(SENT), min_size=6, unique=True))
    return Description(inputs={name: draw(described_inputs()) for name in names})


tolerant = st.builds(
    lambda needed: Description(
        inputs={name: DescribedInput(required=name == needed) for name in SENT}
    ),
    st.sampled_from(SENT),
)
"""Those that rule out nothing but that one input is absent."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("axes") / "m.yaml"


def loaded_at(path: Path, manifest: Manifest) -> Loaded:
    path.write_text(yaml_of(manifest))
    return load_manifest(path, {})


def by_brute_force(manifest: Loaded, known: dict[str, Description]) -> Counter[tuple[str, ...]]:
    """Count the cells of each mistake: model, sent name, kind."""
    cells = {cell.key: cell for cell in reversed(list(expand(manifest)))}
    return Counter(
        (cell.alias, mistake.name, str(mistake.kind))
        for cell in cells.values()
        for mistake in mistakes_of(known[cell.model], cell.input)
    )


drawn = given(
    manifests(), st.fixed_dictionaries({f"m/{a}": descriptions() | tolerant for a in "abc"})
)
patient = settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@drawn
@patient
def test_a_model_is_suspected_if_and_only_if_a_cell_of_it_has_a_mistake(
    path: Path, manifest: Manifest, known: dict[str, Description]
) -> None:
    loaded = loaded_at(path, manifest)
    described = {model: DescribedModel(each) for model, each in known.items()}

    suspected = suspects(loaded, described)

    wrong = {alias for alias, *_ in by_brute_force(loaded, known)}
    with_cells = {cell.alias for cell in expand(loaded)}
    assert suspected & with_cells == wrong


@given(
    manifests(),
    st.fixed_dictionaries({f"m/{a}": descriptions() for a in "abc"}),
    st.integers(1, 5),
)
@patient
def test_a_sample_hides_no_mistake_from_the_walk(
    path: Path, manifest: Manifest, known: dict[str, Description], n: int
) -> None:
    loaded = loaded_at(path, {**manifest, "sample": {"n": n}})
    described = {model: DescribedModel(each) for model, each in known.items()}

    suspected = suspects(loaded, described)

    assert suspected >= {alias for alias, *_ in by_brute_force(loaded, known)}


@drawn
@patient
def test_each_mistake_is_counted_in_all_its_cells(
    path: Path, manifest: Manifest, known: dict[str, Description]
) -> None:
    loaded = loaded_at(path, manifest)
    checks = CellChecks({model: DescribedModel(each) for model, each in known.items()})

    for cell in expand(loaded):
        checks.add(cell)

    counted: Counter[Any] = Counter()
    for (alias, name, kind), group in checks.found.items():
        counted[alias, name, str(kind)] += sum(count.cells for count in group.others.values())
        counted[alias, name, str(kind)] += sum(count.cells for count in group.by_value.values())
    assert counted == by_brute_force(loaded, known)
    assert all(count > 0 for count in counted.values())


@drawn
@patient
def test_each_problem_has_a_place_in_the_manifest(
    path: Path, manifest: Manifest, known: dict[str, Description]
) -> None:
    loaded = loaded_at(path, manifest)

    found = check_cells(loaded, known, wanted=lambda _: True, proof=lambda _: ())

    assert bool(found.errors or found.warnings) is bool(by_brute_force(loaded, known))
    for problem in (*found.errors, *found.warnings):
        assert problem.place.source == str(path)
        assert problem.place.line == 1
        assert problem.place.column > 1 or problem.message.startswith("and ")
