"""Many problems of one kind: the first are shown, and the others are counted."""

from pathlib import Path

import pytest

from batchrun.errors import MOST_LISTED, ManifestError, Place, Problem
from batchrun.manifest.load import load_manifest


def missing(number: int, line: int = 7) -> Problem:
    message = f"no file `photos/{number}.png`; there is no folder /x"
    return Problem(Place("m.yaml", line, 9), message)


OTHER = Problem(Place("m.yaml", 9, 1), "unknown key `modles`")


@pytest.mark.parametrize(
    ("number", "last"),
    [(20, None), (21, "  and 1 more"), (40, "  and 20 more"), (5000, "  and 4,980 more")],
)
def test_of_a_kind_twenty_are_shown(number: int, last: str | None) -> None:
    error = ManifestError([*map(missing, range(number)), OTHER])
    lines = str(error).splitlines()

    assert len([line for line in lines if "no file" in line]) == MOST_LISTED
    assert lines[-1] == str(OTHER)
    assert lines[-2] == (last or str(missing(19)))
    assert len(error.problems) == number + 1


def test_mistakes_of_different_kinds_are_all_shown() -> None:
    problems = [Problem(Place("m.yaml", n, 1), f"mistake {chr(65 + n)}") for n in range(50)]

    assert str(ManifestError(problems)) == "\n".join(map(str, problems))


def test_those_that_were_only_counted_are_counted_too() -> None:
    last = Problem(Place("m.yaml", 9, 1), "no file `x`; there is no folder /x", more=7)

    assert str(ManifestError([*map(missing, range(5)), last])).endswith("\n  and 7 more")


@pytest.mark.parametrize(
    ("text", "sheet"),
    [
        ('inputs: {image_urls: [{$file: "photos/${n}.png"}]}\nvars: {n: {$range: [1, 40]}}\n', ""),
        (
            'rows: s.csv\ninputs: {image_urls: [{$file: "photos/${Photo}"}]}\n',
            "Photo\n" + "".join(f"{n}.png\n" for n in range(40)),
        ),
        (
            "rows: {file: s.csv, files: [photo]}\n",
            "photo\n" + "".join(f"{n}.png\n" for n in range(40)),
        ),
        ("rows: s.csv\n", "a,b\n" + "1,2,3\n" * 40),
    ],
)
def test_of_forty_mistakes_twenty_are_named_and_twenty_counted(
    tmp_path: Path, text: str, sheet: str
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"models: [a/b]\n{text}")
    (tmp_path / "s.csv").write_text(sheet)

    with pytest.raises(ManifestError) as caught:
        load_manifest(path, {})

    assert str(caught.value).splitlines()[-1] == "  and 20 more"
