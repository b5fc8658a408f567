"""`batchrun init [DIR]`: a commented manifest to start from, and a schema for editors.

The schema lies beside the manifest: an editor finds it without network, whatever was installed
where, and it is the one of this version.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from batchrun.commands.options import Parser
from batchrun.errors import UsageError
from batchrun.manifest.schema import as_text
from batchrun.settings import in_section

FILE: Final = "batchrun.yaml"
SCHEMA_FILE: Final = "manifest.schema.json"

MANIFEST: Final = """\
# yaml-language-server: $schema=manifest.schema.json

# A manifest of batchrun. It runs as it is: the endpoint is the embedded simulator, which needs no
# key and makes nothing real. To make real pictures, take the `endpoint` line away and set
# RUNFLOW_API_KEY.
#
#   batchrun plan batchrun.yaml    what would be done
#   batchrun batchrun.yaml         do it; run it again to go on
#
# The first line is for editors that complete and check YAML; `batchrun schema` prints that file.

name: first-sweep
endpoint: simulator

# The models. The short form is an id; the long form says how a model differs from the others.
models:
  - google/nano-banana-2
  - id: openai/gpt-image-1.5
    alias: gpt                             # its name in tables and files
    omit: [seed]                           # it takes no seed
    rename: {aspect_ratio: image_size}     # it calls the shape image_size
    map: {aspect_ratio: {1:1: 1024x1024, 3:2: 1536x1024}}

# The inputs. A list is an axis: every combination is a cell. Anything else is sent as it is.
inputs:
  prompt: "a ${color} chair, ${room} light"
  aspect_ratio: [1:1, 3:2]
  seed: {$range: [1, 2]}                   # 1 2, both ends included
  # image_url: {$file: photo.png}          # a local file, uploaded once
  # image_url: {$glob: "photos/*.png"}     # an axis of files

# Values for ${...} that are not sent.
vars:
  color: [red, blue]
  room: studio

# rows: prompts.csv                        # one point for each row; columns are inputs
# exclude:
#   - {model: gpt, color: red}             # drop what matches all of it
# sample: {n: 5}                           # try a few points first

"""

NAME: Final = """\
  name: "${alias}/${color}-${cell}"        # the extension comes from the content type
"""

CHOSEN: Final = {
    "limits.concurrency": "8",
    "limits.rate": "20/s",
    "limits.budget": "5.00",
    "limits.budget_per_day": "20.00",
    "poll.interval": "500ms",
}
"""Settings that the manifest gives; the others stand in comments, with their defaults."""

EXAMPLES: Final = {"limits.confirm_above": "2.00"}
"""Values in comments, of settings that have no default and are no switch."""


def manifest() -> str:
    """Return the commented manifest; its settings are described as in the table."""
    sections = [section_of(name) for name in ("limits", "poll", "outputs")]
    return MANIFEST + "".join(sections) + NAME


def section_of(name: str) -> str:
    """Return a section with a line for each of its settings."""
    lines = [f"{name}:"]
    for key, setting in in_section(name).items():
        value = CHOSEN.get(f"{name}.{key}")
        example = setting.written or EXAMPLES.get(f"{name}.{key}", "true")
        entry = f"  {key}: {value}" if value else f"  # {key}: {example}"
        lines.append(f"{entry:<43}# {setting.says}")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the manifest and say what to do with it; return 0. Overwrites no manifest."""
    path: Path = parser().parse_args(argv).folder / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(manifest())
        path.with_name(SCHEMA_FILE).write_text(as_text(), encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{path} is there already; nothing was written") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
    print(f"wrote {path}\nrun it: batchrun {shlex.quote(str(path))}")
    return 0


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser(
        "init",
        description=f"Write {FILE}, a commented manifest that runs as it is, and {SCHEMA_FILE} "
        "for editors.",
    )
    made.add_argument("folder", metavar="DIR", nargs="?", default=".", type=Path)
    return made
