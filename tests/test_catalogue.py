"""Descriptions of models: how fresh, how merged, how large; the file that keeps them; the ids."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchrun.catalogue import entries
from batchrun.catalogue.entries import Entries, Entry, Listed, age, decode, encode, entries_of
from batchrun.catalogue.kept import keep, load
from batchrun.catalogue.unknown_ids import is_mistake, unknown
from batchrun.runflow.model_list import model_id_of, parse_model_page
from batchrun.sweep.location import CATALOGUE, catalogue_below, catalogue_beside, output_folder

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BODY = {"name": "banana", "pricing_note": "$0.08/image", "inputs": [{"name": "prompt"}]}


def had(at: datetime = NOON, **bodies: Any) -> Entries:
    return entries_of({f"a/{name}": body for name, body in bodies.items()}, at)


@pytest.mark.parametrize(
    ("body", "ago", "fresh"),
    [
        (BODY, timedelta(0), True),
        (BODY, DAY - MINUTE, True),
        (BODY, DAY, False),
        (None, HOUR - MINUTE, True),
        (None, HOUR, False),
    ],
)
def test_a_description_is_fresh_for_a_day_and_an_unknown_model_for_an_hour(
    body: Any, ago: timedelta, *, fresh: bool
) -> None:
    assert (had(NOON - ago, x=body).fresh("a/x", NOON) is not None) == fresh


def test_a_list_is_fresh_for_an_hour() -> None:
    listed = Listed(at=NOON, ids=("a/x",))

    assert Entries(listed=listed).fresh_list(NOON + HOUR - MINUTE) == listed
    assert Entries(listed=listed).fresh_list(NOON + HOUR) is None
    assert Entries().fresh_list(NOON) is None


def test_a_time_ahead_of_the_clock_does_not_stay_fresh_for_years() -> None:
    ahead = had(NOON + DAY, x=BODY)
    kept = Entries(models=ahead.models, listed=Listed(at=NOON + DAY, ids=("a/x",)))

    assert kept.until(NOON) == Entries()
    assert kept.until(NOON + DAY) == kept
    assert had(NOON + MINUTE, x=BODY).until(NOON).models  # clocks differ a little


def test_of_two_answers_the_newer_one_counts_whoever_wrote_last() -> None:
    old, new = had(NOON, x=BODY, y=BODY), had(NOON + HOUR, x=None, z=BODY)

    assert old.merged(new) == new.merged(old)
    assert {name: each.body for name, each in old.merged(new).models.items()} == {
        "a/x": None,
        "a/y": BODY,
        "a/z": BODY,
    }


def test_the_newer_list_counts() -> None:
    old, new = (Entries(listed=Listed(at=at, ids=("a/x",))) for at in (NOON, NOON + HOUR))

    assert old.merged(new).listed == new.merged(old).listed == new.listed
    assert old.merged(Entries()).listed == Entries().merged(old).listed == old.listed


def test_a_description_is_kept_as_it_came_but_for_its_page() -> None:
    body = {**BODY, "content": "x" * 10**6, "seo": {"title": "x"}, "later": {"unknown": [1]}}

    assert had(x=body).models["a/x"].body == {**BODY, "later": {"unknown": [1]}}


def test_of_a_large_description_only_what_is_read_is_kept_and_of_a_huge_one_nothing() -> None:
    large = {**BODY, "elsewhere": "x" * entries.MOST_BYTES}
    huge = {**BODY, "description": "x" * entries.MOST_BYTES}
    kept = had(x=large, y=huge)

    found = kept.models["a/x"].description
    assert found is not None
    assert (found.label, list(found.inputs)) == ("$0.08/image", ["prompt"])
    assert "a/y" not in kept.models


def test_what_is_no_json_is_not_kept() -> None:
    assert not had(x={"name": {1, object()}}, y={"name": "\ud800"}).models


def test_the_oldest_are_dropped_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_OF_ALL", 200)
    kept = had(NOON, x=BODY).merged(had(NOON + HOUR, y=BODY, z=BODY))

    assert sorted(decode(encode(kept)).models) == ["a/y", "a/z"]


def test_what_is_written_is_read() -> None:
    kept = Entries(models=had(x=BODY, y=None).models, listed=Listed(at=NOON, ids=("a/x",)))

    assert decode(encode(kept)) == kept


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"models":',
        b'{"models": {"a/x": {"at": "yesterday"}}}',
        b'{"models": {"a/x": {"at": "2026-05-01T12:00:00"}}}',
        b'{"models": {"a/x": {"at": "2026-05-01T12:00:00Z", "body": [1]}}}',
        b'{"schema": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_another_file_in_its_place_is_as_good_as_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / CATALOGUE
    path.write_bytes(data)
    kept, said = load(path, NOON)

    assert kept == Entries()
    assert str(path) in said
    assert "safe to delete" in said
    keep(path, had(x=BODY), NOON)
    assert load(path, NOON) == (had(x=BODY), "")


def test_a_missing_file_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert load(tmp_path / CATALOGUE, NOON) == (Entries(), "")
    assert load(tmp_path / "gone" / CATALOGUE, NOON) == (Entries(), "")
    assert load(tmp_path / "file" / CATALOGUE, NOON) == (Entries(), "")


def test_a_pipe_or_a_folder_in_its_place_holds_up_no_call(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for path in (tmp_path / "pipe", tmp_path / "folder"):
        kept, said = load(path, NOON)
        assert kept == Entries()
        assert said
        keep(path, had(x=BODY), NOON)  # it raises nothing


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / CATALOGUE).open("wb") as file:
        file.truncate(2**33)

    assert "8 GiB" in load(tmp_path / CATALOGUE, NOON)[1]


def test_without_news_nothing_is_written(tmp_path: Path) -> None:
    keep(tmp_path / CATALOGUE, Entries(), NOON)

    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_made_for_it(tmp_path: Path) -> None:
    keep(tmp_path / "outputs" / CATALOGUE, had(x=BODY), NOON)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / f"{CATALOGUE}.{os.getpid()}.part").mkdir()  # root may write anywhere else
    keep(tmp_path / CATALOGUE, had(x=BODY), NOON)

    assert not (tmp_path / CATALOGUE).exists()


def test_what_another_process_wrote_meanwhile_is_merged(tmp_path: Path) -> None:
    path = tmp_path / CATALOGUE
    keep(path, had(NOON, x=BODY), NOON)
    keep(path, had(NOON + MINUTE, y=None), NOON + MINUTE)

    kept, said = load(path, NOON + HOUR)

    assert sorted(kept.models) == ["a/x", "a/y"]
    assert said == ""
    assert [each.name for each in tmp_path.iterdir()] == [CATALOGUE]


def test_it_lies_beside_the_sweeps_of_its_endpoint_and_no_sweep_can_be_there(
    tmp_path: Path,
) -> None:
    for endpoint in ("simulator", "https://api.runflow.io", "http://127.0.0.1:8000"):
        below = catalogue_below(tmp_path, endpoint)
        for label in (None, "tonight"):
            folder = output_folder(
                "chairs", tmp_path / "m.yaml", endpoint=endpoint, outputs=tmp_path, label=label
            )
            assert catalogue_beside(folder, label) == below
    assert CATALOGUE.startswith("@")  # no name of a sweep does


@pytest.mark.parametrize(
    ("ago", "says"),
    [(40 * timedelta(seconds=1), "40 s"), (3 * HOUR, "3 h 0 min"), (3 * DAY, "3 days")],
)
def test_an_age_is_spelled_as_people_say_it(ago: timedelta, says: str) -> None:
    assert age(NOON - ago, NOON) == says


IDS = ("google/nano-banana-2", "google/nano-banana-pro", "bria/background/remove")


@pytest.mark.parametrize(
    ("model", "mistake"),
    [
        ("google/nano-banana-3", True),
        ("bria/zebra", True),
        ("google/nano-banana-2", False),  # it is listed, after all
        ("runflow-access/brand-kit", False),  # workflows are in no list
        ("goggle/nano-banana-2", False),
    ],
)
def test_an_id_is_a_mistake_only_beside_others_of_its_owner(model: str, *, mistake: bool) -> None:
    assert is_mistake(model, Listed(at=NOON, ids=IDS)) == mistake
    assert not is_mistake(model, None)


def test_the_nearest_ids_are_named() -> None:
    said = unknown("google/nano-banana-3", IDS)

    assert "did you mean `google/nano-banana-2` or `google/nano-banana-pro`?" in said
    assert unknown("bria/zebra", IDS).endswith("`batchrun models bria` lists some")


@pytest.mark.parametrize(
    ("entry", "model"),
    [
        ({"slug": "google/nano-banana-2", "id": "0198"}, "google/nano-banana-2"),
        ({"slug": "nano-banana-2", "owner": "google"}, "google/nano-banana-2"),
        ({"slug": "nano-banana-2", "model_creator": {"slug": "google"}}, "google/nano-banana-2"),
        ({"id": "google/nano-banana-2"}, "google/nano-banana-2"),
        ({"slug": "nano-banana-2", "model_creator_id": "0198"}, None),
        ({"slug": "nano-banana-2", "creator": {"name": "Google"}}, None),
        ({"slug": "google/"}, None),
        ({"slug": 3, "owner": ["google"]}, None),
        ({}, None),
    ],
)
def test_an_id_is_read_where_slug_and_owner_are_said(entry: Any, model: str | None) -> None:
    assert model_id_of(entry) == model


@pytest.mark.parametrize("body", [None, [], {"next": None}, "items", {"models": []}])
def test_what_is_no_page_of_models_is_none(body: Any) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        parse_model_page(body)


def test_both_envelopes_are_pages() -> None:
    for name in ("next", "next_pq"):
        page = parse_model_page({"items": [BODY], name: "/v1/models?pq=abc"})
        assert (page.entries, page.next) == ((BODY,), "abc")


def test_an_entry_of_an_unknown_model_describes_nothing() -> None:
    assert Entry(at=NOON).description is None
    assert json.loads(encode(had(x=None)))["models"]["a/x"] == {
        "at": "2026-05-01T12:00:00Z",
        "body": None,
    }
