"""What tests of the page do in its window."""

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

SHOTS = Path(os.environ.get("CI_OUTPUT", Path(__file__).parents[1] / "build"), "screenshots")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# The model of most of these tests is untrained, so that any verdict is right.
VERDICTS = ("Signs of a deepfake", "No signs found", "Cannot tell")


def upload(page, file):
    """Choose a file and wait for what the page makes of it."""
    page.locator("#check .file").set_input_files(file)
    name = file.name if isinstance(file, Path) else file["name"]
    done = page.locator(f'#verdict [data-state=done][data-name="{name}"], #verdict [data-state=failed]')
    expect(done).to_be_visible(timeout=30_000)


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Images of a tab that is not shown load lazily, which may be never; and where nothing moves there may be no frame,
    # at which the default looks.
    shown = "[...document.images].filter(image => image.offsetParent)"
    page.wait_for_function(f"{shown}.every(image => image.complete)", polling=100)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def check_access(page):
    """Hold the page as it is now against all rules of axe."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def headline(page):
    return page.locator("#verdict h2").first


def open_tab(page, name):
    """Open a tab, which on a phone may stand in a menu, and moves from there into the row once it is open."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator(".overflow-menu > button").click()
        tab = tab.or_(page.locator(".overflow-dropdown button", has_text=name)).first
    tab.click()
