"""Writes the lines of docs/manifest.md that are made from the table of settings.

PYTHONPATH=tests python -m settings_page
"""

import re
from pathlib import Path
from typing import Final

from batchrun.settings import SETTINGS, Setting

PAGE: Final = Path(__file__).parent.parent / "docs" / "manifest.md"


def line_of(setting: Setting) -> str:
    """Return a setting's line in the table of the page."""
    flag = f"`{setting.flag}` " if setting.flag else ""
    default = setting.written or "none"
    return f"| `{setting.key}` | {default} | {setting.more or setting.says} | {flag}|"


def written(text: str) -> str:
    """Return the page with the line of each setting as the table says it."""
    for setting in SETTINGS:
        if setting.key is not None:
            pattern = rf"^\| `{re.escape(setting.key)}` \|.*$"
            made = line_of(setting).replace("\\", r"\\")
            text, found = re.subn(pattern, made, text, flags=re.MULTILINE)
            assert found == 1, f"{setting.key} has {found} lines in {PAGE.name}; give it one"
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
