"""A headless Chromium of its own, for what is measured on pages."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def is_there() -> bool:
    """Say whether a browser can be driven here."""
    found = [shutil.which("chromium"), shutil.which("chromedriver"), find_spec("selenium")]
    return None not in found


@contextmanager
def browser() -> Iterator[Any]:
    """Start it with an empty profile; it waits up to 300 s for a script."""
    webdriver = import_module("selenium.webdriver")  # an extra
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for each in (*OPTIONS, "--window-size=1280,800", f"--user-data-dir={profile}"):
            options.add_argument(each)
        options.binary_location = shutil.which("chromium") or ""
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        driver.set_script_timeout(300)
        try:
            yield driver
        finally:
            driver.quit()
