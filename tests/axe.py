"""Asks axe-core what bars people from a page; tests are skipped where `npm ci` hasn't put it."""

from pathlib import Path
from typing import Any, Final

import pytest
from browser import Page

AXE: Final = Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"

needs_axe: Final = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed: `npm ci` does so"
)

RULES: Final = (
    *("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"),
    "best-practice",
)
"""All that WCAG 2.2 asks for at levels A and AA, as far as a program can see it, and more."""

ASKED: Final = """
    const [rules, done] = arguments;
    axe.run(document, { runOnly: rules, resultTypes: ["violations"] }).then(
      (found) => done(found.violations.flatMap(
        ({ help, nodes }) => nodes.map(({ target, html }) => `${help}: ${target}: ${html}`))),
      (error) => done([String(error)]),
    );
"""


def barriers(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the *page* as it stands, a line for each element."""
    if not page.js("return 'axe' in window"):
        page.js(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.driver.execute_async_script(ASKED, RULES)
    return found


def look(page: Page, *, scheme: str = "light", motion: str = "no-preference", **more: Any) -> None:
    """Show the page as someone has it who prefers that *scheme*, and that much *motion*."""
    wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion, **more}
    features = [{"name": name.replace("_", "-"), "value": value} for name, value in wanted.items()]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
