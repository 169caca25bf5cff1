"""Starts the Chromium that is installed."""

import shutil

from playwright.sync_api import Browser, Playwright

QUIET = (  # Chromium's own calls home, and the sandbox that root cannot have
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)


def launch(playwright: Playwright) -> Browser:
    """Raises FileNotFoundError where none is installed."""
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("chromium is not on PATH: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=QUIET)
