"""The sources that a manifest was read from, beside its own text. Pure.

`data/local_files.py` notes files and globs here, the environment its variables. `data/changes.py`
says later whether all of it is as it was.
"""

from collections.abc import Mapping

from batchrun.base.local_file import FileState


class Sources:
    """Files, listings and variables. They grow while cells are made: rows name files, too.

    *digests* are the sha256 of those files that were read as a whole already. *read_again* are the
    files that are read again whenever cells are made, by their paths, as messages show them.
    """

    def __init__(self) -> None:
        self.files: dict[str, FileState | None] = {}
        self.digests: dict[str, str] = {}
        self.read_again: dict[str, str] = {}
        self.listings: dict[str, tuple[str, ...]] = {}  # what each glob pattern has found
        self.variables: dict[str, str] = {}


def unvalued(text: str, variables: Mapping[str, str]) -> str:
    """Return *text* with the name of each variable in the place of its value: it may be secret."""
    for name, value in variables.items():
        if value:
            text = text.replace(value, f"${{env:{name}}}")
    return text
