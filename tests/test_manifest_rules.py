"""The manifest's rules, one by one: what each comes to, as the contract words it."""

import json
from pathlib import Path
from typing import Any

import pytest
from processes import call

from batchrun.base.local_file import LocalFile
from batchrun.errors import ManifestError
from batchrun.manifest.cells import Cell
from batchrun.manifest.grid.expand import expand
from batchrun.manifest.load import load_manifest

FILES = {
    "a.png": b"\x89PNG\r\n\x1a\na",
    "same.png": b"\x89PNG\r\n\x1a\na",
    "b.png": b"\x89PNG\r\n\x1a\nb",
    "masks/a.png": b"\x89PNG\r\n\x1a\nm",
    "empty.png": b"",
    "p.csv": b"p,n\n1,x\n,y\n",
    "lines.txt": b"\xef\xbb\xbfone ${two}\r\n\n  three  \n",
}


def cells_of(folder: Path, text: str) -> list[Cell]:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    path = folder / "m.yaml"
    path.write_text(text if "models:" in text else f"{text}\nmodels: [a/b]\n", encoding="utf-8")
    return list(expand(load_manifest(path, {"WHO": "me", "FOUR": "4", "ZERO": "0s"})))


def shown(value: Any) -> Any:
    if isinstance(value, LocalFile):
        return f"<{value.written}>"
    if isinstance(value, list):
        return [shown(item) for item in value]
    return {n: shown(v) for n, v in value.items()} if isinstance(value, dict) else value


RIGHT: dict[str, tuple[str, list[Any]]] = {
    "equal values are one, text and booleans others": (
        "inputs: {x: [1, 1.0, 1e0, '1', true, null]}",
        [{"x": 1}, {"x": 1}, {"x": 1}, {"x": "1"}, {"x": True}, {"x": None}],
    ),
    "omit is an element of an axis, of a list, of a mapping": (
        "inputs: {x: [1, {$omit: true}], y: [[1, {$omit: true}]], z: {k: {$omit: true}, l: 1}}",
        [{"x": 1, "y": [1], "z": {"l": 1}}, {"y": [1], "z": {"l": 1}}],
    ),
    "a list of which an empty field leaves nothing is left out, and one that is empty isn't": (
        (
            "rows: [{p: 1}, {q: 2}, {p: 3, e: []}]\n"
            "inputs: {x: [['${p}']], y: {k: ['${p}'], l: ['${p}', 0]}, z: [[]], w: '${x}'}"
        ),
        [
            {"x": [1], "y": {"k": [1], "l": [1, 0]}, "z": [], "w": [1], "p": 1},
            {"y": {"l": [0]}, "z": [], "q": 2},
            {"x": [3], "y": {"k": [3], "l": [3, 0]}, "z": [], "w": [3], "p": 3, "e": []},
        ],
    ),
    "axis operators are spliced into lists, at any depth": (
        "inputs: {x: [{$range: [1, 2]}, 9], y: [[{$range: [1, 2]}]], z: {k: [{$glob: '?.png'}]}}",
        [{"x": x, "y": [1, 2], "z": {"k": ["<a.png>", "<b.png>"]}} for x in (1, 2, 9)],
    ),
    "nothing in $value is interpreted": (
        "inputs: {x: {$value: [{$file: x}, '${y}']}, y: [{$value: '${z}'}]}",
        [{"x": [{"$file": "x"}, "${y}"], "y": "${z}"}],
    ),
    "lines are data, without line ends": (
        "inputs: {x: {$lines: lines.txt}}",
        [{"x": "one ${two}"}, {"x": "  three  "}],
    ),
    "templates stand in operators' paths": (
        (
            "vars: {s: {$file: a.png}, d: masks}\n"
            "inputs: {x: {$file: 'masks/${s.stem}.png'}, y: {$glob: '${d}/*'}, z: '${s.path}'}"
        ),
        [{"x": "<masks/a.png>", "y": "<masks/a.png>", "z": "a.png"}],
    ),
    "a single reference keeps the type, at any depth": (
        (
            "vars: {n: 1.0, b: true, l: {$value: [1]}, f: 0.5}\n"
            "inputs: {x: ['${n}'], y: {k: ['${b}', 'n${n}']}, z: '${l}', t: '${ f } ${n}${b}'}"
        ),
        [{"x": 1, "y": {"k": [True, "n1"]}, "z": [1], "t": "0.5 1true"}],
    ),
    "a doubled dollar is literal, other dollars are themselves": (
        "vars: {n: 3}\ninputs: {x: '$${n} $n $$ ${n}$'}",
        [{"x": "${n} $n $$ 3$"}],
    ),
    "templates are never keys": (
        "vars: {n: 3}\ninputs: {x: {'${n}': '${n}'}}",
        [{"x": {"${n}": 3}}],
    ),
    "replicate and environment": (
        "repeat: 2\ninputs: {x: '${replicate}', y: '${env:WHO}!'}",
        [{"x": 1, "y": "me!"}, {"x": 2, "y": "me!"}],
    ),
    "a column overrides a single-valued input, which fills empty fields": (
        "inputs: {p: '<${n}>', q: '${p}!'}\nrows: p.csv",
        [{"p": 1, "q": "1!", "n": "x"}, {"p": "<y>", "q": "<y>!", "n": "y"}],
    ),
    "columns that are not sent serve templates and rules": (
        "rows: {file: p.csv, send: [n]}\ninputs: {q: ['${p}']}\nexclude: [{p: {$omit: true}}]",
        [{"q": 1, "n": "x"}],
    ),
    "row values and zip elements are values": (
        "rows: [{x: [1, 2]}]\nzip: {y: [[3, 4]], z: [{k: [5]}]}",
        [{"x": [1, 2], "y": [3, 4], "z": {"k": [5]}}],
    ),
    "text of the manifest's own rows is expanded": (
        "vars: {c: [r, g]}\nrows: [{x: 'a ${c}'}]\nzip: {y: ['${c}']}",
        [{"x": "a r", "y": "r"}, {"x": "a g", "y": "g"}],
    ),
    "rows, zip, then axes as written": (
        "inputs: {d: [7, 8]}\nzip: {c: [5, 6]}\nrows: [{a: 1}, {a: 2}]",
        [{"d": d, "c": c, "a": a} for a in (1, 2) for c in (5, 6) for d in (7, 8)],
    ),
    "a model's inputs replace common values, axes and columns": (
        (
            "models: [{id: a/b, inputs: {x: 7, p: 0, own: [1, 2]}}]\n"
            "inputs: {x: [1, 2, 3]}\nrows: [{p: 5}]"
        ),
        [{"x": 7, "p": 0, "own": 1}, {"x": 7, "p": 0, "own": 2}],
    ),
    "a model's ${x} under x is the value below, typed": (
        "models: [{id: a/b, inputs: {x: ['${x}', '${x}!']}}]\ninputs: {x: [1]}",
        [{"x": 1}, {"x": "1!"}],
    ),
    "map, omit and rename come after exclude": (
        (
            "models: [{id: a/b, map: {r: {1:1: square, 2: two, 3: {$omit: true}}}, "
            "rename: {r: q, q: r}, omit: [s]}]\n"
            "inputs: {r: [1:1, 16:9, 2, 3], q: 5, s: 6}\nexclude: [{r: 16:9}]"
        ),
        [{"q": "square", "r": 5}, {"q": "two", "r": 5}, {"r": 5}],
    ),
    "map keys and exclude values have types": (
        (
            "models: [{id: a/b, map: {x: {1: one, '1': text, true: yes, null: none}}}]\n"
            "inputs: {x: [1, '1', true, null]}\nexclude: [{x: '1'}]"
        ),
        [{"x": "one"}, {"x": "yes"}, {"x": "none"}],
    ),
    "exclude takes aliases, ids, vars, files and what is left out": (
        (
            "models: [a/b, {id: c/d, alias: s}, {id: e/f, alias: t}]\n"
            "inputs: {x: [{$file: a.png}, {$omit: true}, 1]}\nvars: {v: [1, 2]}\n"
            "exclude: [{model: [a-b, e/f]}, {x: a}, {x: {$omit: true}}, {v: 2}]"
        ),
        [{"x": 1}],
    ),
    "include inherits what is single, and no axes": (
        (
            "models: [{id: a/b, inputs: {p: '${p}!', d: '5'}}]\n"
            "inputs: {p: [x, y], s: 1, t: '${v}'}\nvars: {v: q, w: [1, 2]}\nexclude: [{s: 1}]\n"
            "include: [{p: z, d: '9'}, {models: [a-b], p: [u, w], s: 7}]"
        ),
        [
            {"s": 1, "t": "q", "p": "z!", "d": "9"},
            {"s": 7, "t": "q", "p": "u!", "d": "5"},
            {"s": 7, "t": "q", "p": "w!", "d": "5"},
        ],
    ),
    "settings take the environment": (
        "limits: {concurrency: '${env:FOUR}', settle: '${env:ZERO}'}\nname: '${env:WHO}'",
        [{}],
    ),
    "anchors and merge keys work": (
        "x-m: &m {omit: [s], rename: {r: q}}\nmodels: [{<<: *m, id: a/b}]\ninputs: {s: 1, r: 2}",
        [{"q": 2}],
    ),
}


@pytest.mark.parametrize("rule", RIGHT)
def test_a_rule(tmp_path: Path, rule: str) -> None:
    text, expected = RIGHT[rule]

    found = [shown(cell.input) for cell in cells_of(tmp_path, text)]

    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


WRONG: dict[str, tuple[str, str]] = {
    "an axis operator where no list can be": (
        "inputs: {x: {k: {$range: [1, 2]}}}",
        "m.yaml:1:17: `$range` gives several values",
    ),
    "an axis operator as a row's value": (
        "rows: [{x: {$glob: '*.png'}}]",
        "m.yaml:1:12: `$glob` gives several values",
    ),
    "omit that is not true": ("inputs: {x: {$omit: false}}", "m.yaml:1:21: `$omit` expects true"),
    "an operator with company": (
        "inputs: {x: {$file: a.png, y: 1}}",
        "m.yaml:1:28: `$file` stands alone",
    ),
    "an unknown operator, nested": (
        "inputs: {x: [[{$fil: a.png}]]}",
        "unknown operator `$fil`; did you mean `$file`?",
    ),
    "an empty file": ("inputs: {x: {$file: empty.png}}", "m.yaml:1:21: `empty.png` is empty"),
    "a name in two places": (
        "inputs: {x: 1}\nvars: {x: 2}",
        "m.yaml:2:8: `x` is also in `inputs`",
    ),
    "a column over an axis": (
        "inputs: {p: [1, 2]}\nrows: p.csv",
        "p.csv:1:1: `p` is also an axis in `inputs`",
    ),
    "a column and a var": ("vars: {p: 1}\nrows: p.csv", "p.csv:1:1: `p` is also in `vars`"),
    "two tables with one column": ("zip: {p: [1]}\nrows: p.csv", "`p` is also a column in `rows`"),
    "an exclude key nobody knows": (
        "inputs: {ratio: 1}\nexclude: [{rato: 1}]",
        "m.yaml:2:12: `exclude`: no input, var or column is called `rato`; did you mean `ratio`?",
    ),
    "an exclude without models": ("exclude: [{model: []}]", "expected at least one model"),
    "two inputs at one name": (
        "models: [{id: a/b, rename: {x: y}}]\ninputs: {x: 1, y: 2}",
        "m.yaml:1:29: `x` and `y` both arrive at `y`",
    ),
    "a value that a map does not know": (
        "models: [{id: a/b, map: {x: {1: one}}}]\ninputs: {x: [1, '1']}",
        "has no value for `1`, which is text here and a number there",
    ),
    "an axis in an include that is not given": (
        "vars: {c: [1, 2]}\ninputs: {x: 'a ${c}'}\ninclude: [{y: 1}]",
        "an include inherits no axes; give it `c`",
    ),
    "the cell's own words in an input": (
        "inputs: {x: '${cell}'}",
        "`${cell}` works only in `outputs.name` and `metadata`",
    ),
    "a var in a setting": (
        "vars: {n: 1}\nlimits: {concurrency: '${n}'}",
        "only `${env:NAME}` works",
    ),
    "an attribute of what is no file": (
        "vars: {a: x}\ninputs: {x: '${a.stem}'}",
        "m.yaml:2:14: `a` is text, not a file",
    ),
    "x- that is not at the top": ("limits: {x-a: 1}", "unknown key `limits.x-a`"),
    "file names that meet": (
        "inputs: {x: [1, 2]}\noutputs: {name: '${alias}'}",
        "`outputs.name` gives several cells one name",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake(tmp_path: Path, mistake: str) -> None:
    text, said = WRONG[mistake]

    with pytest.raises(ManifestError) as caught:
        cells_of(tmp_path, text)

    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


def test_repeat_is_a_models_own_or_the_manifests(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "models: [{id: a/b, repeat: 2}, c/d]\nrepeat: 3\n")

    assert [(cell.alias, cell.replicate) for cell in cells] == [
        *(("a-b", 1), ("c-d", 1), ("a-b", 2), ("c-d", 2), ("c-d", 3)),
    ]


def test_files_of_equal_content_are_one_cell(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "inputs: {x: [{$file: a.png}, {$file: same.png}]}")

    assert len(cells) == 2
    assert len({cell.key for cell in cells}) == 1


@pytest.mark.slow
def test_whole_numbers_beyond_64_bits_reach_the_ledger_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        f"models: [google/nano-banana-2]\nendpoint: simulator\n"
        f"inputs: {{prompt: a chair, seed: [{2**64}, {2**70}, {-(2**63) - 1}, 7]}}\n"
        "limits: {settle: 0s, rate: 100/s, input_errors: warn}\npoll: {interval: 100ms}\n"
    )

    first, again = call(path, cwd=tmp_path), call(path, cwd=tmp_path)

    assert (first.returncode, again.returncode) == (1, 1), first.stderr  # seeds out of bounds
    assert "Traceback" not in first.stderr + again.stderr
    ledger = (tmp_path / "outputs/@simulator/m/ledger.jsonl").read_text().splitlines()
    intents = [line for line in map(json.loads, ledger) if line["type"] == "intent"]
    assert [line["input"]["seed"] for line in intents] == [2**64, 2**70, -(2**63) - 1, 7]


@pytest.mark.parametrize("what", ["folder", "missing"])
def test_a_manifest_that_cannot_be_read_is_said(tmp_path: Path, what: str) -> None:
    path = tmp_path / "m.yaml"
    if what == "folder":
        path.mkdir()

    with pytest.raises(ManifestError, match=r"m\.yaml: cannot read the manifest: "):
        load_manifest(path, {})
