"""The `client_ref` of waves, and the marker under which the first runs of a sweep are found."""

import secrets
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.engine.open_sweep import ID_BYTES
from batchrun.sweep.references import (
    is_marker,
    is_of_sweep,
    is_sweep_id,
    marker,
    reference,
    sweep_of,
    wave_number,
)


@pytest.mark.parametrize(
    ("ref", "number"), [("br1.k.12", 12), ("br1.k.", 0), ("", 0), ("x.-3", 0), ("br1.k.٣", 3)]
)
def test_a_wave_s_number_is_read_from_its_reference(ref: str, number: int) -> None:
    assert wave_number(ref) == number


def test_a_marker_follows_from_name_and_label_alone() -> None:
    assert marker("chairs", None) == marker("chairs", None) == "br1.first.cf50c6d9e3c3be3bbebd"
    others = {marker("chairs", label) for label in (None, "", "None", "null", "2026-11-29")}
    assert len(others | {marker("chair", "s")}) == 6


@given(st.text(), st.none() | st.text())
def test_a_marker_is_one_however_its_name_was_typed(name: str, label: str | None) -> None:
    typed = unicodedata.normalize("NFD", name)
    assert marker(typed, label) == marker(name, label)


@given(st.text(), st.none() | st.text())
def test_a_marker_is_no_wave_of_any_sweep(name: str, label: str | None) -> None:
    ref = marker(name, label)

    assert is_marker(ref)
    assert sweep_of(ref) is None
    assert wave_number(ref) == 0
    assert len(ref) < 40
    assert "'" not in ref


def test_a_wave_is_of_its_sweep_alone() -> None:
    assert is_of_sweep(reference("k3f9", 12), "k3f9")
    assert not is_of_sweep(reference("k3f90", 12), "k3f9")
    assert sweep_of(reference("k3f9", 12)) == "k3f9"
    assert not is_marker(reference("k3f9", 12))
    assert not is_marker(None)


def test_an_id_of_a_sweep_is_known_by_its_shape() -> None:
    made = secrets.token_hex(ID_BYTES)

    assert is_sweep_id(made)
    assert not any(map(is_sweep_id, ("", "***", made[:16], f"{made}0", "A" * 20, f"{made}\n")))
