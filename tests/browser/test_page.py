"""The page, as somebody sees and uses it."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SHOTS = Path(os.environ.get("CI_OUTPUT", Path(__file__).parents[2] / "build"), "screenshots")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# The model of these tests is untrained, so that any verdict is right.
VERDICT = "The model "


@pytest.fixture
def open_page(browser, server):
    """Open the page in a window of its own; its `foreign` are the requests that went elsewhere."""
    contexts = []

    def start(viewport=DESKTOP, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.foreign = []
        page.on("request", lambda request: _note(page, request.url, server.url))
        page.goto(server.url)
        page.get_by_role("button", name="Drop an image file here to upload").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()


def _note(page, url, home):
    if not url.startswith((home, "data:", "blob:")):
        page.foreign.append(url)


def _upload(page, file):
    page.locator("input[type=file]").first.set_input_files(file)
    expect(page.locator("#verdict h2")).to_be_visible(timeout=20_000)


def _shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Both sides of the slider have to be there, decoded, before they can be seen. Images of a tab that is not shown
    # load lazily, which may be never; and where nothing moves there may be no frame, at which the default looks.
    shown = "[...document.images].filter(image => image.offsetParent)"
    page.wait_for_function(f"{shown}.every(image => image.complete)", polling=100)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def _maps(page):
    return page.locator("[data-testid=imageslider] img, .slider-wrap img")


def test_uploaded_image_gets_verdict_and_map(open_page, drawn):
    page = open_page()
    _upload(page, drawn / "fake" / "0000.jpg")
    expect(page.locator("#verdict")).to_contain_text(VERDICT)
    expect(page.locator("#verdict")).to_contain_text("on a scale from 0.50 (undecided) to 1.00")
    expect(_maps(page)).to_have_count(2)
    sizes = _maps(page).evaluate_all("images => images.map(image => [image.naturalWidth, image.naturalHeight])")
    assert sizes == [[800, 800], [800, 800]]
    expect(page.get_by_text("What the verdict does not mean")).to_be_visible()
    assert page.foreign == []
    _shoot(page, "desktop-light")


def test_text_named_jpg_is_refused_in_words(open_page, drawn, text_file):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    expect(page.locator("#verdict")).to_contain_text(VERDICT)
    page.get_by_label("Remove Image").click()
    expect(page.locator("#verdict h2")).to_have_count(0)
    _upload(page, text_file)
    expect(page.locator("#verdict h2")).to_have_text("No verdict")
    expect(page.locator("#verdict")).to_contain_text("The image")
    expect(page.locator("body")).not_to_contain_text("Traceback")
    expect(_maps(page)).to_have_count(0)
    _shoot(page, "refused")


def test_no_trace_of_the_last_verdict_when_the_server_fails(open_page, drawn):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    expect(page.locator("#verdict")).to_contain_text(VERDICT)
    page.route("**/queue/join*", lambda route: route.fulfill(status=500, body="{}"))
    page.locator(".gallery-item").first.click()
    expect(page.locator("#verdict")).to_contain_text("Something went wrong on the server")
    expect(page.locator("#verdict")).not_to_contain_text(VERDICT)
    expect(_maps(page)).to_have_count(0)
    _shoot(page, "server-failed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(open_page, drawn, scheme):
    page = open_page(PHONE, color_scheme=scheme)
    _upload(page, drawn / "fake" / "0001.jpg")
    expect(page.locator("#verdict h2")).to_be_in_viewport(ratio=1)
    for tab in ("Evaluate an image", "Look closer", "About"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("tab", name="Evaluate an image").click()
    _shoot(page, f"phone-{scheme}")


def test_dark_mode_follows_the_system(open_page, drawn):
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    brightness = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    assert light.evaluate(brightness) > 200
    assert dark.evaluate(brightness) < 50
    _upload(dark, drawn / "real" / "0001.jpg")
    _shoot(dark, "desktop-dark")


def test_keyboard_reaches_upload_and_examples(open_page, drawn):
    page = open_page()
    # The browser hands choosers over from some time after the first listener on; without one, Enter may come before.
    page.on("filechooser", lambda _: None)
    upload = page.get_by_role("button", name="Drop an image file here to upload")
    _tab_to(page, upload)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(drawn / "real" / "0002.jpg")
    expect(page.locator("#verdict")).to_contain_text(VERDICT)
    page.reload()
    _tab_to(page, page.locator(".gallery-item").first)
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_contain_text(VERDICT)


def _tab_to(page, target):
    """Press Tab until `target` has the focus."""
    target.wait_for()
    for _ in range(15):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"15 times Tab did not reach {target}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_views_of_the_image_beside_the_verdict(open_page, drawn, scheme):
    page = open_page(color_scheme=scheme)
    page.get_by_role("tab", name="Look closer").click()
    expect(page.locator("#inspection")).to_contain_text("No image was given")
    page.get_by_role("tab", name="Evaluate an image").click()
    _upload(page, drawn / "fake" / "0002.jpg")
    page.get_by_role("tab", name="Look closer").click()
    expect(page.locator("#inspection")).to_contain_text("JPEG, 128 x 128 px")
    expect(page.locator("#inspection")).to_contain_text("its absence says nothing")
    expect(page.locator("#views img")).to_have_count(3)
    assert page.foreign == []
    _shoot(page, f"views-{scheme}")


def test_card_with_its_figures(open_page):
    page = open_page()
    page.get_by_role("tab", name="About", exact=True).click()
    expect(page.get_by_role("heading", name="tiny-deepfake")).to_be_visible()
    expect(page.get_by_alt_text("ROC curve on the test split.")).to_be_visible()
    expect(page.get_by_text("library_name")).to_have_count(0)
    expect(page.locator(".figure img")).to_have_count(1)
    page.get_by_role("link", name="limits").click()
    expect(page.get_by_role("heading", name="Limits")).to_be_in_viewport()
    _shoot(page, "about")
