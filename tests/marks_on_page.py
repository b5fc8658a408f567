"""Marks of cells on a page of results: making, seeing and saving them in a browser."""

from pathlib import Path

from browser import Page


def focus(page: Page, point: int) -> None:
    page.js("document.querySelector(`[data-point='${arguments[0]}']`).focus()", point)


def marks(page: Page) -> dict[int, str]:
    """Return the signs on each tile that has some."""
    found: dict[str, str] = page.js(
        "return Object.fromEntries([...document.querySelectorAll('[data-point]')]"
        ".filter((e) => e.querySelector('.marks'))"
        ".map((e) => [e.dataset.point, e.querySelector('.marks').textContent]))"
    )
    return {int(point): signs for point, signs in found.items()}


def saved(page: Page, folder: Path) -> Path:
    """Return what the page saves."""
    path = folder / "picks.jsonl"
    path.unlink(missing_ok=True)
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    page.click("[data-key='marks save']")
    while not (path.exists() and path.read_text().endswith("\n")):  # it may be there before its end
        page.js("return 1")
    return path
