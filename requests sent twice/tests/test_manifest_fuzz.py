"""Mutated manifests and data files: whatever they say, the answer is cells or a ManifestError."""

from itertools import islice
from pathlib import Path

import pytest
from effort import examples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifest_schema import complaints, value_of

from batchrun.errors import ManifestError
from batchrun.manifest.file_names import file_name, user_metadata
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.load import load_manifest

ROOT = Path(__file__).parent.parent
WHOLE = b"""\
models:
  - google/nano-banana-2
  - id: bytedance/seedance/2.0/fast/text-to-video
    alias: seedance
    inputs: {duration: "5", text: "${text}, oil", own: [1, 2]}
    omit: [seed]
    map: {ratio: {1:1: square, 16:9: {$omit: true}}}
    rename: {ratio: shape}
    repeat: 2
inputs:
  text: "a ${color} ${room} ${shot.stem} ${replicate} ${n}"
  ratio: [1:1, 16:9]
  seed: {$range: [1, 4, 0.5]}
  images: [[{$file: a.png}, {$file: b.png}]]
  config: {list: [tag, {$omit: true}], v: {$value: {$x: 1}}}
vars:
  shot: {$glob: "?.png"}
  color: [red, {$lines: l.txt}]
  room: studio
zip: {all: [{style: [oil, ink], strength: [0.4, 0.7]}, {w: [1, 2]}]}
rows: {all: [{file: p.csv, text: [n], files: [photo], template: [p]}, r.jsonl, [{z: 1}]]}
exclude: [{model: seedance, ratio: 1:1}, {color: [red, "${room}"], seed: [{$range: [2, 3]}]}]
include: [{model: google/nano-banana-2, n: x, shot: {$file: a.png}, color: red, seed: [7, 8]}]
sample: {n: 9}
limits: {concurrency: 16, rate: 10/s, settle: 0s, budget: 5.00}
outputs: {dir: ../outputs, name: "${alias}/${color}-${cell}"}
metadata: {c: "${color} ${cell}"}
x-a: &a {k: 1}
"""
CSV = b'n,p,photo\n007,"a\n\n${color}",a.png\n5,x,https://host/b.png\n9,,\n'
JSONL = b'{"q": "x", "k": [1, {"a": null}]}\n{"q": 1.0}\n'
LINES = b"one\ntwo ${x}\n"
CORPUS = [WHOLE, *(path.read_bytes() for path in sorted(ROOT.glob("**/manifests/*.yaml")))]
PIECES = [
    *(b"${ } { [ ] , : - | ~ ' % @ ` * ** ? / ../ ~x/ [] {} [[]] null true .nan 1e300".split()),
    *(b"1e400 0x1f -0 1:1 *a <<: !x !!str $file $glob $lines $range $omit $value".split()),
    *(b"${color} ${text} ${shot.stem} ${cell} ${env:X} {$omit: true} model models all".split()),
    *(b"rows zip include p.csv r.jsonl l.txt a.png".split()),
    *(b": ", b" #x", b"&a ", b"\t", b"\n", b"\r", b"- ", b"---\n", b"\x00", b"\xff", b"\x1b[2J"),
    *(b"\xef\xbb\xbf", b'"\\ud800"', "ü\u2028\u202e".encode(), b"9" * 400, b"x" * 600),
]
spot = st.tuples(st.integers(0, 1 << 16), st.integers(0, 12), st.sampled_from(PIECES))
mutations = st.lists(spot, min_size=1, max_size=4)


def mutated(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for place, cut, piece in mutations:
        start = place % (len(data) + 1)
        data = data[:start] + piece + data[start + cut :]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz")
    for name in ("a.png", "b.png"):
        (path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    return path


def outcome(folder: Path, manifest: bytes, csv: bytes, jsonl: bytes, lines: bytes) -> str:
    path = folder / "m.yaml"
    for name, data in {"m.yaml": manifest, "p.csv": csv, "r.jsonl": jsonl, "l.txt": lines}.items():
        (folder / name).write_bytes(data)
    try:
        loaded = load_manifest(path, {})
        assert upper_bound(loaded) >= 0
        for cell in islice(expand(loaded), 100):
            assert file_name(loaded, cell)
            user_metadata(loaded, cell)
    except ManifestError as error:
        return str(error)
    assert complaints(value_of(path)) == []
    return ""


def test_the_whole_language_is_right_before_it_is_broken(folder: Path) -> None:
    assert not outcome(folder, WHOLE, CSV, JSONL, LINES)


@given(st.sampled_from(CORPUS), mutations)
@example(b"models: [a/b]\ninputs: {a: ['${b}'], b: ['${a}']}\n", [(0, 0, b"")])
@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_mutated_manifest_ends_in_a_traceback(
    folder: Path, manifest: bytes, mutations: list[tuple[int, int, bytes]]
) -> None:
    outcome(folder, mutated(manifest, mutations), CSV, JSONL, LINES).encode()


@given(mutations, mutations, mutations)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_mutated_data_ends_in_a_traceback(
    folder: Path,
    csv: list[tuple[int, int, bytes]],
    jsonl: list[tuple[int, int, bytes]],
    lines: list[tuple[int, int, bytes]],
) -> None:
    said = outcome(folder, WHOLE, mutated(CSV, csv), mutated(JSONL, jsonl), mutated(LINES, lines))

    said.encode()
