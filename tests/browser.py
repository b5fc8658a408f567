"""A headless Chromium for the tests of the page; they are skipped where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="the extra `browser` is not installed: no test in a browser"
)

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER: Final = shutil.which("chromedriver")

needs_browser: Final = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="Chromium and its driver are not installed: no test in a browser",
)

OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

WIDE: Final = (1280, 800)

SEEN_WHOLE: Final = """
    const [selector, done] = arguments;
    document.querySelector(selector).scrollIntoView({ block: "nearest", inline: "nearest" });
    requestAnimationFrame(() => requestAnimationFrame(done));
"""
"""Brings an element onto the screen: tiles follow a scroll when the page draws next."""


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Start a browser with an empty *profile*, which may read files and reach no network."""
    options = webdriver.ChromeOptions()
    for each in (*OPTIONS, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(each)
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """A report in a browser, by what stands on it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, view: str = "", size: tuple[int, int] = WIDE) -> None:
        """Open the page at *path* anew; return when it is ready."""
        self.open_unready(path, view, size)
        self.wait("document.documentElement.dataset.ready === 'yes'")
        self.settle()

    def open_unready(self, path: Path, view: str = "", size: tuple[int, int] = WIDE) -> None:
        """Open the page at *path* anew, whatever comes of it."""
        wide, high = size
        screen = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get("about:blank")
        self.driver.get_log("browser")  # what is said there is of the page before
        self.driver.get(f"{path.as_uri()}{view}")

    def settle(self) -> None:
        """Wait until no tile waits for its details."""
        self.wait("![...document.querySelectorAll('.kind')].some((e) => e.textContent === '…')")

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        """Wait until the *condition* holds, or a hang is certain."""
        support = pytest.importorskip("selenium.webdriver.support.ui")
        support.WebDriverWait(self.driver, 120, 0.02).until(
            lambda _: self.js(f"return {condition}"), condition
        )

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that match, as the page has them."""
        found: list[str] = self.js(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)",
            selector,
        )
        return found

    def press(self, *keys: str) -> None:
        for key in keys:
            self._press(key)
        self.settle()

    def _press(self, key: str) -> None:
        exceptions = pytest.importorskip("selenium.common.exceptions")
        while True:
            # What has the focus may be drawn anew before the key comes: then nothing was pressed.
            with suppress(exceptions.StaleElementReferenceException):
                self.driver.switch_to.active_element.send_keys(key)
                return

    def click(self, selector: str) -> None:
        self.driver.execute_async_script(SEEN_WHOLE, selector)
        self.settle()  # tiles whose details come are other elements
        self.all(selector)[0].click()
        self.settle()

    @property
    def hash(self) -> str:
        text: str = self.js("return decodeURIComponent(location.hash.replaceAll('+', ' '))")
        return text

    @property
    def errors(self) -> list[str]:
        return [each["message"] for each in self.driver.get_log("browser")]
