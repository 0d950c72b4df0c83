"""The page, as somebody sees and uses it."""

import json

import pytest
from page_window import PHONE, VERDICTS, check_access, headline, open_tab, shoot, upload
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def test_verdict_comes_first_in_colour_sign_and_words(open_page, drawn):
    page = open_page()
    expect(page.locator("#check .picker")).to_contain_text("at most 20 MB and 40 megapixels")
    upload(page, drawn / "fake" / "0000.jpg")
    assert headline(page).inner_text() in VERDICTS
    expect(page.locator("#verdict .verdict > .sign")).to_be_visible()
    expect(page.locator("#verdict .verdict .bar")).to_have_attribute("role", "img")
    assert "0." not in page.locator("#verdict").inner_text()  # no bare score
    expect(page.locator("#check [role=status]")).to_have_text(headline(page).inner_text())
    column = page.locator(".results").bounding_box()
    assert page.locator("#verdict .verdict").bounding_box()["y"] - column["y"] < 40
    expect(page.get_by_text("What the verdict does not mean").last).to_be_visible()
    assert page.foreign == []
    shoot(page, "desktop-light")


def test_waiting_is_visible_at_once_and_the_last_verdict_gone(open_page, drawn):
    page = open_page()
    upload(page, drawn / "real" / "0000.jpg")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/upload*", hold)
    with page.expect_request("**/upload*"):
        page.locator("#check .file").set_input_files(drawn / "fake" / "0000.jpg")
    expect(page.locator("#verdict .card.waiting")).to_contain_text("Uploading")
    expect(page.locator("#verdict h2")).to_have_count(0)
    expect(page.locator("#verdict img")).to_have_count(0)
    open_tab(page, "Look closer")
    expect(page.locator(".closer-about")).to_be_visible()
    expect(page.locator("#closer article")).to_have_count(0)
    open_tab(page, "Check")
    held.pop().continue_()
    expect(page.locator("#verdict [data-state=done]")).to_be_visible(timeout=30_000)


def test_of_two_images_chosen_in_haste_the_last_one_counts(open_page, drawn):
    page = open_page()
    with page.expect_request("**/queue/join*"):
        page.locator("#check .file").set_input_files(drawn / "real" / "0000.jpg")
    upload(page, drawn / "fake" / "0001.jpg")
    expect(page.locator("#check [role=status]")).to_have_text(headline(page).inner_text())
    expect(page.locator(".history li").first).to_contain_text("0001.jpg")
    expect(page.locator('#verdict [data-name="0000.jpg"]')).to_have_count(0)


def test_text_named_jpg_is_refused_in_one_sentence(open_page, drawn, text_file):
    page = open_page()
    upload(page, drawn / "real" / "0000.jpg")
    upload(page, text_file)
    expect(headline(page)).to_have_text("No verdict")
    expect(page.locator("#verdict")).to_contain_text("The image is not an image in any of JPEG")
    expect(page.locator("body")).not_to_contain_text("Traceback")
    expect(page.locator("#check .preview")).to_be_hidden()  # no sign of a broken image
    expect(page.locator("#check .unshown")).to_be_visible()
    expect(page.locator("#verdict img")).to_have_count(0)
    shoot(page, "refused")


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
    upload(page, drawn / "real" / "0000.jpg")
    page.route("**/queue/join*", lambda route: route.fulfill(status=500, body="{}"))
    page.locator(".example").first.click()
    expect(page.locator("#verdict")).to_contain_text("Something went wrong on the server")
    expect(page.locator("#verdict img")).to_have_count(0)
    shoot(page, "server-failed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(open_page, drawn, scheme):
    page = open_page(PHONE, color_scheme=scheme)
    upload(page, drawn / "fake" / "0001.jpg")
    expect(headline(page)).to_be_in_viewport(ratio=1)
    for tab in ("Check", "Look closer", "Several", "Compare", "About"):
        open_tab(page, tab)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
        check_access(page)
        shoot(page, f"phone-{scheme}-{tab.split()[0].lower()}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_desktop_is_accessible(open_page, drawn, text_file, scheme):
    page = open_page(color_scheme=scheme)
    brightness = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert brightness > 200 if scheme == "light" else brightness < 50
    check_access(page)
    upload(page, text_file)
    check_access(page)
    upload(page, drawn / "real" / "0001.jpg")
    check_access(page)
    shoot(page, f"desktop-{scheme}")
    for tab in ("Look closer", "Several", "Compare", "About"):
        open_tab(page, tab)
        check_access(page)


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
    upload(page, tmp_path / "phone.heic")
    assert headline(page).inner_text() in VERDICTS
    assert page.locator("#verdict .evaluated img").first.evaluate("image => image.naturalWidth") == 800


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_several_faces(open_page, bundled, several_faces, scheme):
    page = open_page(at=bundled, color_scheme=scheme)
    upload(page, several_faces)
    expect(headline(page)).to_contain_text("of 3 faces")
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
    check_access(page)
    shoot(page, f"faces-{scheme}")


def test_no_face_no_score_no_map(open_page, bundled, no_face):
    page = open_page(at=bundled)
    upload(page, no_face)
    expect(headline(page)).to_have_text("No face found")
    expect(page.locator("#verdict .bar, #verdict .map, #verdict .opacity")).to_have_count(0)
    assert json.loads(page.locator("#verdict .record").text_content())["fake_score"] is None
    check_access(page)
    shoot(page, "no-face")


def test_german(open_page, drawn):
    page = open_page(locale="de-DE")
    expect(page.get_by_role("heading", name="Echt oder Deepfake?")).to_be_visible()
    page.get_by_role("tab", name="Prüfen").wait_for()
    upload(page, drawn / "fake" / "0000.jpg")
    assert headline(page).inner_text() in (
        "Anzeichen eines Deepfakes",
        "Keine Anzeichen gefunden",
        "Nicht zu entscheiden",
    )
    assert page.evaluate("document.documentElement.lang").startswith("de")
    check_access(page)
    shoot(page, "german")
