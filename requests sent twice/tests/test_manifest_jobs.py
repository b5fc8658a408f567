"""Manifests for real jobs, each with its cells counted by hand."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from manifest_schema import complaints, value_of

from batchrun.base.local_file import LocalFile
from batchrun.manifest.cells import Cell
from batchrun.manifest.file_names import file_name
from batchrun.manifest.grid.expand import expand, upper_bound
from batchrun.manifest.load import load_manifest

PNG = b"\x89PNG\r\n\x1a\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells_of(folder: Path, text: str, name: str = "job.yaml") -> list[Cell]:
    path = write(folder, name, text)
    assert complaints(value_of(path)) == []
    manifest = load_manifest(path, {})
    cells = list(expand(manifest))
    assert len(cells) <= upper_bound(manifest)
    return cells


def keys(cells: list[Cell]) -> set[str]:
    return {cell.key for cell in cells}


def shown(value: Any) -> Any:
    """Return a file as its name, at any depth."""
    if isinstance(value, LocalFile):
        return value.name
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value


def test_three_models_by_200_prompts_from_a_csv_by_two_ratios(tmp_path: Path) -> None:
    rows = "".join(f"shot-{n:03},picture {n} of a chair\n" for n in range(200))
    write(tmp_path, "prompts.csv", f"id,prompt\n{rows}")
    text = """
models:
  - google/nano-banana-2
  - id: google/nano-banana-pro
    alias: pro
    map: {aspect_ratio: {1:1: square, 3:2: {width: 1536, height: 1024}}}
  - id: openai/gpt-image-1.5
    alias: gpt
    rename: {aspect_ratio: image_size}
    map: {aspect_ratio: {1:1: 1024x1024, 3:2: 1536x1024}}
rows: {file: prompts.csv, send: [prompt]}
inputs: {aspect_ratio: [1:1, 3:2]}
outputs: {name: "${id}/${alias}-${cell}"}
"""
    cells = cells_of(tmp_path, text)

    assert len(cells) == len(keys(cells)) == 3 * 200 * 2
    gpt = [cell.input for cell in cells if cell.alias == "gpt"]
    assert gpt[:2] == [
        {"prompt": "picture 0 of a chair", "image_size": "1024x1024"},
        {"prompt": "picture 0 of a chair", "image_size": "1536x1024"},
    ]
    pro = [cell.input["aspect_ratio"] for cell in cells if cell.alias == "pro"]
    assert pro == ["square", {"width": 1536, "height": 1024}] * 200
    assert cells[0].values["id"] == "shot-000"
    manifest = load_manifest(tmp_path / "job.yaml", {})
    assert file_name(manifest, cells[0]) == f"shot-000/google-nano-banana-2-{cells[0].short}"


def test_photos_of_a_folder_through_background_removal(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        write(tmp_path, f"photos/p{number}.png", PNG + bytes([number]))
    write(tmp_path, "photos/notes.txt", "not a photo")
    write(tmp_path, "photos/more/deep.jpg", b"\xff\xd8\xff")
    text = """
models: [runflow/background-removal, bria/background/remove]
inputs: {image_url: [{$glob: "photos/*.png"}, {$glob: "photos/**/*.jpg"}]}
"""
    cells = cells_of(tmp_path, text)

    assert len(cells) == len(keys(cells)) == 2 * 4
    names = [shown(cell.input["image_url"]) for cell in cells[::2]]
    assert names == ["p1.png", "p10.png", "p2.png", "deep.jpg"]
    mimes = {cell.input["image_url"].mime for cell in cells}
    assert mimes == {"image/png", "image/jpeg"}


def test_image_edits_with_lists_of_two_local_files(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, f"{name}.png", PNG + name.encode())
    text = """
models: [google/nano-banana-2/edit]
inputs:
  prompt: [merge them, put the first into the second]
  image_urls:
    - [{$file: a.png}, {$file: b.png}]
    - [{$file: a.png}, {$file: c.png}]
"""
    cells = cells_of(tmp_path, text)

    assert len(keys(cells)) == 2 * 2
    assert [shown(cell.input["image_urls"]) for cell in cells] == [
        ["a.png", "b.png"],
        ["a.png", "c.png"],
    ] * 2


def test_masks_are_paired_with_photos_by_file_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path, f"shots/{name}.jpg", b"\xff\xd8\xff" + name.encode())
        write(tmp_path, f"masks/{name}.png", PNG + name.encode())
    text = """
models: [runflow/reference-inpaint]
vars: {shot: {$glob: "shots/*.jpg"}}
inputs:
  image_url: "${shot}"
  mask_url: {$file: "masks/${shot.stem}.png"}
  prompt: "${shot}: ${shot.name} (${shot.path})"
"""
    cells = cells_of(tmp_path, text)

    assert [shown(cell.input) for cell in cells] == [
        {"image_url": "one.jpg", "mask_url": "one.png", "prompt": "one: one.jpg (shots/one.jpg)"},
        {"image_url": "two.jpg", "mask_url": "two.png", "prompt": "two: two.jpg (shots/two.jpg)"},
    ]


def test_a_nested_config_with_lists_is_one_value(tmp_path: Path) -> None:
    text = """
models: [runflow/dyver-removal]
vars: {shape: [1:1, 4:5], refs: {$value: [x, y]}}
inputs:
  image_url: https://public.runflow.io/images/models/shoe.jpg
  config:
    elements: [tag_removal, background_removal]
    aspect_ratio: "${shape}"
    product_isolation_prompt: {$omit: true}
    deep: [{refs: "${refs}"}]
"""
    cells = cells_of(tmp_path, text)

    assert [cell.input["config"] for cell in cells] == [
        {
            "elements": ["tag_removal", "background_removal"],
            "aspect_ratio": shape,
            "deep": [{"refs": ["x", "y"]}],
        }
        for shape in ("1:1", "4:5")
    ]


def test_video_durations_are_text(tmp_path: Path) -> None:
    text = """
models:
  - id: bytedance/seedance/2.0/text-to-video
    alias: seedance
  - id: kuaishou/kling-video/v3/pro/text-to-video
    alias: kling
    inputs: {duration: ["3", "10"]}
inputs: {prompt: steam over a cup, duration: ["5"], aspect_ratio: [16:9, 9:16]}
"""
    cells = cells_of(tmp_path, text)

    assert len(keys(cells)) == 1 * 2 + 2 * 2
    assert {(cell.alias, cell.input["duration"]) for cell in cells} == {
        ("seedance", "5"),
        ("kling", "3"),
        ("kling", "10"),
    }


def test_seeds_for_some_models_only(tmp_path: Path) -> None:
    text = """
models:
  - google/nano-banana-pro
  - {id: openai/gpt-image-2, alias: gpt, omit: [seed], repeat: 3}
  - {id: bytedance/seedance/2.0/text-to-video, alias: video, inputs: {seed: {$omit: true}}}
inputs: {prompt: [a chair, a stool], seed: {$range: [1, 4]}}
"""
    cells = cells_of(tmp_path, text)

    by_alias = {alias: [c for c in cells if c.alias == alias] for alias in ("gpt", "video")}
    # What is omitted still varies: its points fold into one cell each, replicates apart.
    assert len(by_alias["gpt"]) == 2 * 4 * 3
    assert len(keys(by_alias["gpt"])) == 2 * 3
    # What a model's own value replaces varies no more.
    assert len(by_alias["video"]) == len(keys(by_alias["video"])) == 2
    assert len(keys(cells)) == 2 * 4 + 2 * 3 + 2


AWKWARD = [
    "a sign that says {sale}",
    "still life: pear, 50% off",
    'say "cheese"',
    "it costs ${price} and ${",
    "# not a comment",
    "*bold* & [list], {map}",
    "über 日本 🪑",
    "  spaces around  ",
]


def test_prompts_may_hold_braces_colons_quotes_and_dollars(tmp_path: Path) -> None:
    write(tmp_path, "prompts.txt", "\n".join(AWKWARD) + "\n")

    lines = cells_of(
        tmp_path, "models: [google/nano-banana-2]\ninputs: {prompt: {$lines: prompts.txt}}\n"
    )

    assert [cell.input["prompt"] for cell in lines] == AWKWARD
    out = io.StringIO()
    csv.writer(out).writerows([["prompt"], *([prompt] for prompt in AWKWARD)])
    write(tmp_path, "p.csv", out.getvalue())
    write(tmp_path, "p.jsonl", "\n".join(json.dumps({"prompt": prompt}) for prompt in AWKWARD))
    quoted = "".join(
        f"  - {{$value: {json.dumps(prompt, ensure_ascii=False)}}}\n" for prompt in AWKWARD
    )
    for source in ("rows: p.csv\n", "rows: p.jsonl\n", f"inputs:\n  prompt:\n{quoted}"):
        cells = cells_of(tmp_path, f"models: [google/nano-banana-2]\n{source}")
        assert keys(cells) == keys(lines)


SWEEP = """
models: [google/nano-banana-2{more}]
inputs:
  prompt: [a chair, {second}]
  seed: [1, 2, 3]
"""


def test_a_model_added_to_a_finished_sweep_adds_only_its_own_cells(tmp_path: Path) -> None:
    before = cells_of(tmp_path, SWEEP.format(more="", second="a stool"))
    after = cells_of(tmp_path, SWEEP.format(more=", openai/gpt-image-2", second="a stool"))

    assert keys(before) < keys(after)
    assert len(keys(after) - keys(before)) == 2 * 3


def test_one_prompt_changed_makes_only_its_cells_new(tmp_path: Path) -> None:
    before = cells_of(tmp_path, SWEEP.format(more="", second="a stool"))
    after = cells_of(tmp_path, SWEEP.format(more="", second="a bench"))

    assert len(keys(after) & keys(before)) == 3
    assert {cell.input["prompt"] for cell in after if cell.key not in keys(before)} == {"a bench"}


@pytest.mark.parametrize("name", ["chairs.yaml"])
def test_the_example_of_the_contract(tmp_path: Path, name: str) -> None:
    write(tmp_path, "prompts.csv", "subject\nchair\nstool\n")
    for image in "ab":
        write(tmp_path, f"{image}.png", PNG + image.encode())
    text = """
name: chairs
models:
  - google/nano-banana-2
  - id: bytedance/seedance/2.0/fast/text-to-video
    alias: seedance
    inputs: {duration: "5"}
    omit: [seed]
    map: {aspect_ratio: {1:1: square, 16:9: wide}}
    rename: {aspect_ratio: ratio}
    concurrency: 4
    repeat: 2
inputs:
  prompt: "a ${color} ${subject}, ${room} light"
  aspect_ratio: [1:1, 16:9]
  seed: {$range: [1, 4]}
  image_urls: [[{$file: a.png}, {$file: b.png}]]
  config: {elements: [tag, background]}
vars:
  color: [red, green, blue]
  room: studio
zip:
  style: [oil, ink]
  strength: [0.4, 0.7]
rows: prompts.csv
exclude:
  - {model: seedance, aspect_ratio: 1:1}
include:
  - {model: google/nano-banana-2, prompt: "an empty room", seed: [7, 8]}
limits:
  concurrency: 16
  rate: 10/s
  attempts: 2
  timeout: 15m
  settle: 30s
  budget: 5.00
poll: {interval: 2s}
outputs:
  dir: ../outputs
  download: true
  name: "${alias}/${color}-${seed}-${cell}"
metadata: {project: spring}
endpoint: https://api.runflow.io
"""
    cells = cells_of(tmp_path, text, name)

    points = 2 * 2 * 3 * 2 * 4  # rows, zip, colors, ratios, seeds
    banana = [cell for cell in cells if cell.alias == "google-nano-banana-2"]
    seedance = [cell for cell in cells if cell.alias == "seedance"]
    assert len(banana) == points + 2
    assert len(seedance) == points // 2 * 2
    assert len(keys(seedance)) == points // 2 // 4 * 2  # seeds fold
    assert shown(banana[0].input) == {
        "prompt": "a red chair, studio light",
        "aspect_ratio": "1:1",
        "seed": 1,
        "image_urls": ["a.png", "b.png"],
        "config": {"elements": ["tag", "background"]},
        "subject": "chair",
        "style": "oil",
        "strength": 0.4,
    }
    assert shown(banana[-1].input) == {
        "prompt": "an empty room",
        "config": {"elements": ["tag", "background"]},
        "seed": 8,
    }
