"""The page, as somebody sees and uses it."""

import csv
import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SHOTS = Path(os.environ.get("CI_OUTPUT", Path(__file__).parents[2] / "build"), "screenshots")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# The model of most of these tests is untrained, so that any verdict is right.
VERDICTS = ("Signs of a deepfake", "No signs found", "Cannot tell")


@pytest.fixture
def open_page(browser, server):
    """Open the page in a window of its own; its `foreign` are the requests that went elsewhere."""
    contexts = []

    def start(viewport=DESKTOP, at=server, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.foreign = []
        page.on("request", lambda request: _note(page, request.url, at.url))
        page.goto(at.url)
        page.locator("#check .choose").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()


def _note(page, url, home):
    if not url.startswith((home, "data:", "blob:")):
        page.foreign.append(url)


def _upload(page, file):
    """Choose a file and wait for what the page makes of it."""
    page.locator("#check .file").set_input_files(file)
    name = file.name if isinstance(file, Path) else file["name"]
    done = page.locator(f'#verdict [data-state=done][data-name="{name}"], #verdict [data-state=failed]')
    expect(done).to_be_visible(timeout=30_000)


def _shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Images of a tab that is not shown load lazily, which may be never; and where nothing moves there may be no frame,
    # at which the default looks.
    shown = "[...document.images].filter(image => image.offsetParent)"
    page.wait_for_function(f"{shown}.every(image => image.complete)", polling=100)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def _check_access(page):
    """Hold the page as it is now against all rules of axe."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def _headline(page):
    return page.locator("#verdict h2").first


def test_verdict_comes_first_in_colour_sign_and_words(open_page, drawn):
    page = open_page()
    expect(page.locator("#check .picker")).to_contain_text("at most 20 MB and 40 megapixels")
    _upload(page, drawn / "fake" / "0000.jpg")
    assert _headline(page).inner_text() in VERDICTS
    expect(page.locator("#verdict .verdict > .sign")).to_be_visible()
    expect(page.locator("#verdict .verdict .bar")).to_have_attribute("role", "img")
    assert "0." not in page.locator("#verdict").inner_text()  # no bare score
    expect(page.locator("#check [role=status]")).to_have_text(_headline(page).inner_text())
    column = page.locator(".results").bounding_box()
    assert page.locator("#verdict .verdict").bounding_box()["y"] - column["y"] < 40
    expect(page.get_by_text("What the verdict does not mean").last).to_be_visible()
    assert page.foreign == []
    _shoot(page, "desktop-light")


def test_waiting_is_visible_at_once_and_the_last_verdict_gone(open_page, drawn):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/upload*", hold)
    with page.expect_request("**/upload*"):
        page.locator("#check .file").set_input_files(drawn / "fake" / "0000.jpg")
    expect(page.locator("#verdict .card.waiting")).to_contain_text("Uploading")
    expect(page.locator("#verdict h2")).to_have_count(0)
    expect(page.locator("#verdict img")).to_have_count(0)
    _open_tab(page, "Look closer")
    expect(page.locator(".closer-about")).to_be_visible()
    expect(page.locator("#closer article")).to_have_count(0)
    _open_tab(page, "Check")
    held.pop().continue_()
    expect(page.locator("#verdict [data-state=done]")).to_be_visible(timeout=30_000)


def test_text_named_jpg_is_refused_in_one_sentence(open_page, drawn, text_file):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    _upload(page, text_file)
    expect(_headline(page)).to_have_text("No verdict")
    expect(page.locator("#verdict")).to_contain_text("The image is not an image in any of JPEG")
    expect(page.locator("body")).not_to_contain_text("Traceback")
    expect(page.locator("#check .preview")).to_be_hidden()  # no sign of a broken image
    expect(page.locator("#check .unshown")).to_be_visible()
    expect(page.locator("#verdict img")).to_have_count(0)
    _shoot(page, "refused")


def test_too_large_a_file_is_refused_before_it_is_sent(open_page, tmp_path):
    page = open_page()
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(20_000_001))
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
    page.locator("#check .file").set_input_files(large)
    expect(page.locator("#verdict")).to_contain_text("The image has more than 20 MB; save it smaller.")
    assert sent == []


def test_no_trace_of_the_last_verdict_when_the_server_fails(open_page, drawn):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    page.route("**/queue/join*", lambda route: route.fulfill(status=500, body="{}"))
    page.locator(".example").first.click()
    expect(page.locator("#verdict")).to_contain_text("Something went wrong on the server")
    expect(page.locator("#verdict img")).to_have_count(0)
    _shoot(page, "server-failed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(open_page, drawn, scheme):
    page = open_page(PHONE, color_scheme=scheme)
    _upload(page, drawn / "fake" / "0001.jpg")
    expect(_headline(page)).to_be_in_viewport(ratio=1)
    for tab in ("Check", "Look closer", "Several", "Compare", "About"):
        _open_tab(page, tab)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
        _check_access(page)
        _shoot(page, f"phone-{scheme}-{tab.split()[0].lower()}")


def _open_tab(page, name):
    """Open a tab, which on a phone may stand in a menu."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator(".overflow-menu > button").click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_desktop_is_accessible(open_page, drawn, text_file, scheme):
    page = open_page(color_scheme=scheme)
    brightness = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert brightness > 200 if scheme == "light" else brightness < 50
    _check_access(page)
    _upload(page, text_file)
    _check_access(page)
    _upload(page, drawn / "real" / "0001.jpg")
    _check_access(page)
    _shoot(page, f"desktop-{scheme}")
    for tab in ("Look closer", "Several", "Compare", "About"):
        _open_tab(page, tab)
        _check_access(page)


def test_keyboard_reaches_upload_examples_and_map(open_page, drawn):
    page = open_page()
    # The browser hands choosers over from some time after the first listener on; without one, Enter may come before.
    page.on("filechooser", lambda _: None)
    _tab_to(page, page.locator("#check .choose"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(drawn / "real" / "0002.jpg")
    expect(page.locator("#verdict [data-state=done]")).to_be_visible(timeout=30_000)
    slider = page.get_by_role("slider", name="Strength of the map")
    _tab_to(page, slider)
    page.keyboard.press("Home")
    assert _opacity(page) == 0
    page.keyboard.press("ArrowRight")
    assert _opacity(page) == pytest.approx(0.05)
    page.reload()
    _tab_to(page, page.locator(".example").first)
    page.keyboard.press("Enter")
    expect(page.locator("#verdict [data-state=done]")).to_be_visible(timeout=30_000)


def _opacity(page):
    return float(page.locator("#verdict .evaluated .map").evaluate("image => getComputedStyle(image).opacity"))


def _tab_to(page, target):
    """Press Tab until `target` has the focus."""
    target.wait_for()
    for _ in range(25):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"25 times Tab did not reach {target}")


def test_paste_and_drop(open_page, drawn):
    page = open_page()
    content = list((drawn / "fake" / "0003.jpg").read_bytes())
    hand_over = """([content, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], `${kind}.jpg`, { type: "image/jpeg" }));
        const options = { bubbles: true, cancelable: true };
        const event = kind === "paste" ? new ClipboardEvent(kind, { ...options, clipboardData: data })
            : new DragEvent(kind, { ...options, dataTransfer: data });
        document.querySelector("#check .drop").dispatchEvent(event);
    }"""
    for kind in ("paste", "drop"):
        page.evaluate(hand_over, [content, kind])
        expect(page.locator(f'#verdict [data-name="{kind}.jpg"]')).to_be_visible(timeout=30_000)


def test_heic_is_evaluated_and_shown(open_page, drawn, tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    with Image.open(drawn / "real" / "0003.jpg") as image:
        image.save(tmp_path / "phone.heic")
    page = open_page()
    _upload(page, tmp_path / "phone.heic")
    assert _headline(page).inner_text() in VERDICTS
    assert page.locator("#verdict .evaluated img").first.evaluate("image => image.naturalWidth") == 800


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_several_faces(open_page, bundled, several_faces, scheme):
    page = open_page(at=bundled, color_scheme=scheme)
    _upload(page, several_faces)
    expect(_headline(page)).to_contain_text("of 3 faces")
    faces = page.locator("#verdict .face")
    expect(faces).to_have_count(3)
    kinds = faces.evaluate_all("all => all.map(face => face.classList[1])")
    boxes = page.locator("#verdict .box").evaluate_all("all => all.map(box => box.classList[1])")
    assert boxes == kinds
    assert len(set(kinds)) > 1
    expect(page.locator("#verdict .face .map")).to_have_count(3)
    faces.nth(1).click()
    expect(faces.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(faces.nth(0)).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#verdict .box").nth(1)).to_have_class(f"box {kinds[1]} chosen")
    page.locator("#verdict .box").nth(2).locator("rect").click()
    expect(faces.nth(2)).to_have_attribute("aria-pressed", "true")
    _check_access(page)
    _shoot(page, f"faces-{scheme}")


def test_no_face_no_score_no_map(open_page, bundled, no_face):
    page = open_page(at=bundled)
    _upload(page, no_face)
    expect(_headline(page)).to_have_text("No face found")
    expect(page.locator("#verdict .bar, #verdict .map, #verdict .opacity")).to_have_count(0)
    assert json.loads(page.locator("#verdict .record").text_content())["fake_score"] is None
    _check_access(page)
    _shoot(page, "no-face")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_views_of_the_image_each_with_its_reading(open_page, drawn, viewport):
    page = open_page(viewport)
    _open_tab(page, "Look closer")
    expect(page.locator(".closer-about .none")).to_contain_text("Nothing has been uploaded yet")
    _open_tab(page, "Check")
    _upload(page, drawn / "fake" / "0002.jpg")
    _open_tab(page, "Look closer")
    expect(page.locator(".closer-about .none")).to_be_hidden()
    expect(page.locator("#closer")).to_contain_text("JPEG, 128 x 128 px")
    expect(page.locator("#closer")).to_contain_text("its absence says nothing")
    expect(page.locator("#closer .view img")).to_have_count(3)
    for view in page.locator("#closer .view").all():
        image, words = view.locator("img").bounding_box(), view.locator("figcaption").bounding_box()
        assert words["x"] >= image["x"] + image["width"] or words["y"] >= image["y"] + image["height"]
    assert page.foreign == []
    _shoot(page, f"views-{viewport['width']}")


def test_about_the_model_and_its_card(open_page):
    page = open_page()
    _open_tab(page, "About")
    titles = page.locator("#tab-about h2").all_inner_texts()
    assert titles[:3] == ["What it catches", "What it misses", "How often it is wrong on sources it never saw"]
    assert titles[-1] == "For developers"
    expect(page.get_by_text("It was not measured on sources that it never saw.")).to_be_visible()
    page.get_by_role("button", name="The model's whole card").click()
    expect(page.get_by_role("heading", name="tiny-deepfake")).to_be_visible()
    expect(page.get_by_alt_text("ROC curve on the test split.")).to_be_visible()
    expect(page.get_by_text("library_name")).to_have_count(0)
    expect(page.locator(".figure img")).to_have_count(1)
    page.get_by_role("link", name="limits").click()
    expect(page.get_by_role("heading", name="Limits")).to_be_in_viewport()
    _check_access(page)
    _shoot(page, "about")


def test_a_verdict_is_kept_as_one_page_and_as_json(open_page, bundled, several_faces, tmp_path):
    page = open_page(at=bundled)
    _upload(page, several_faces)
    headline = _headline(page).inner_text()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as JSON").click()
    assert saved.value.suggested_filename == "three.json"
    kept = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert kept["headline"] == headline
    assert len(kept["faces"]) == 3
    assert kept["image"]["name"] == "three.jpg"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a page").click()
    saved.value.save_as(tmp_path / "three.html")
    report = page.context.new_page()
    elsewhere = []
    report.on("request", lambda request: elsewhere.append(request.url))
    report.goto((tmp_path / "three.html").as_uri())
    assert [url for url in elsewhere if not url.startswith(("data:", "file:"))] == []
    expect(report.locator("h2").first).to_have_text(headline)
    for part in ("three.jpg", kept["image"]["sha256"], kept["checked"], kept["model"]["fingerprint"], "not evidence"):
        expect(report.locator("body")).to_contain_text(part)
    expect(report.locator(".face .map")).to_have_count(3)
    expect(report.locator("button, script, input")).to_have_count(0)
    assert report.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    printed = report.pdf(path=tmp_path / "three.pdf", prefer_css_page_size=True)
    assert printed.count(b"/Type /Page\n") == 1
    _check_access(report)
    SHOTS.mkdir(parents=True, exist_ok=True)
    report.screenshot(path=SHOTS / "report.png", full_page=True)


def test_what_was_checked_stays_in_this_tab_of_the_browser(open_page, drawn):
    page = open_page()
    _upload(page, drawn / "real" / "0000.jpg")
    _upload(page, drawn / "fake" / "0001.jpg")
    entries = page.locator(".history li button")
    expect(entries).to_have_count(2)
    page.reload()
    expect(entries).to_have_count(2)
    expect(page.locator("#verdict h2")).to_have_count(0)
    entries.last.click()
    expect(page.locator('#verdict [data-name="0000.jpg"]')).to_be_visible()
    page.get_by_role("button", name="Clear the list").click()
    expect(entries).to_have_count(0)
    expect(page.locator(".history")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_several_images_as_a_table_and_csv(open_page, drawn, text_file, viewport):
    page = open_page(viewport, color_scheme="dark" if viewport == PHONE else "light")
    _open_tab(page, "Several")
    picker = page.locator("#several .choose")
    picker.wait_for()
    with page.expect_file_chooser() as chooser:
        picker.click()
    chooser.value.set_files([drawn / "real" / "0000.jpg", text_file, drawn / "fake" / "0001.jpg"])
    expect(page.locator("#several .progress")).to_contain_text("3 images:", timeout=60_000)
    rows = page.locator("#several .table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("The image is not an image in any of JPEG")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    lines = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert [line["image"] for line in lines] == ["0000.jpg", "notes.jpg", "0001.jpg"]
    assert lines[1]["verdict"] == "failed"
    assert {lines[0]["verdict"], lines[2]["verdict"]} <= {"fake", "real", "unsure"}
    assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]
    _check_access(page)
    _shoot(page, f"several-{viewport['width']}")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_two_images_side_by_side(open_page, drawn, viewport):
    page = open_page(viewport)
    _open_tab(page, "Compare")
    for panel, file in (("first", drawn / "real" / "0000.jpg"), ("second", drawn / "fake" / "0001.jpg")):
        button = page.locator(f"#{panel} .choose")
        button.wait_for()
        with page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(file)
    for panel, name in (("first", "0000.jpg"), ("second", "0001.jpg")):
        expect(page.locator(f'#{panel}-verdict [data-state=done][data-name="{name}"]')).to_be_visible(timeout=30_000)
    left, right = (page.locator(f"#{panel}-verdict .verdict").bounding_box() for panel in ("first", "second"))
    assert (left["y"] == right["y"]) == (viewport == DESKTOP)
    _check_access(page)
    _shoot(page, f"compare-{viewport['width']}")


def test_german(open_page, drawn):
    page = open_page(locale="de-DE")
    expect(page.get_by_role("heading", name="Echt oder Deepfake?")).to_be_visible()
    page.get_by_role("tab", name="Prüfen").wait_for()
    _upload(page, drawn / "fake" / "0000.jpg")
    assert _headline(page).inner_text() in (
        "Anzeichen eines Deepfakes",
        "Keine Anzeichen gefunden",
        "Nicht zu entscheiden",
    )
    assert page.evaluate("document.documentElement.lang").startswith("de")
    _check_access(page)
    _shoot(page, "german")
