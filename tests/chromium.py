"""The browser that the tests of the page need."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright


def require_browser(wanted):
    """Stop where tests want a browser and none is there: nobody waits for minutes, or takes a skip for a pass."""
    if wanted and find_browser() is None:
        pytest.exit(
            "error: the tests of the page need Chromium or Chrome on the PATH; run .venv/bin/playwright install "
            "chromium, or apt-get install chromium, or run make test-fast, which leaves these tests out",
            returncode=2,
        )


def find_browser():
    """Path of a Chromium: one on the PATH, else Playwright's own where it was installed; None without any."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None
