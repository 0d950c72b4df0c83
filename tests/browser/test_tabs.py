"""The page's other tabs, and what is kept of a verdict."""

import csv
import json

import pytest
from page_window import DESKTOP, PHONE, SHOTS, check_access, headline, open_tab, shoot, upload
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_views_of_the_image_each_with_its_reading(open_page, drawn, viewport):
    page = open_page(viewport)
    open_tab(page, "Look closer")
    expect(page.locator(".closer-about .none")).to_contain_text("Nothing has been uploaded yet")
    open_tab(page, "Check")
    upload(page, drawn / "fake" / "0002.jpg")
    open_tab(page, "Look closer")
    expect(page.locator(".closer-about .none")).to_be_hidden()
    expect(page.locator("#closer")).to_contain_text("JPEG, 128 x 128 px")
    expect(page.locator("#closer")).to_contain_text("its absence says nothing")
    expect(page.locator("#closer .view img")).to_have_count(3)
    for view in page.locator("#closer .view").all():
        image, words = view.locator("img").bounding_box(), view.locator("figcaption").bounding_box()
        assert words["x"] >= image["x"] + image["width"] or words["y"] >= image["y"] + image["height"]
    assert page.foreign == []
    shoot(page, f"views-{viewport['width']}")


def test_about_the_model_and_its_card(open_page):
    page = open_page()
    open_tab(page, "About")
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
    check_access(page)
    shoot(page, "about")


def test_a_verdict_is_kept_as_one_page_and_as_json(open_page, bundled, several_faces, tmp_path):
    page = open_page(at=bundled)
    upload(page, several_faces)
    said = headline(page).inner_text()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as JSON").click()
    assert saved.value.suggested_filename == "three.json"
    kept = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert kept["headline"] == said
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
    expect(report.locator("h2").first).to_have_text(said)
    for part in ("three.jpg", kept["image"]["sha256"], kept["checked"], kept["model"]["fingerprint"], "not evidence"):
        expect(report.locator("body")).to_contain_text(part)
    expect(report.locator(".face .map")).to_have_count(3)
    expect(report.locator("button, script, input")).to_have_count(0)
    assert report.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    printed = report.pdf(path=tmp_path / "three.pdf", prefer_css_page_size=True)
    assert printed.count(b"/Type /Page\n") == 1
    check_access(report)
    SHOTS.mkdir(parents=True, exist_ok=True)
    report.screenshot(path=SHOTS / "report.png", full_page=True)


def test_what_was_checked_stays_in_this_tab_of_the_browser(open_page, drawn):
    page = open_page()
    upload(page, drawn / "real" / "0000.jpg")
    upload(page, drawn / "fake" / "0001.jpg")
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
    open_tab(page, "Several")
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
    check_access(page)
    shoot(page, f"several-{viewport['width']}")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_two_images_side_by_side(open_page, drawn, viewport):
    page = open_page(viewport)
    open_tab(page, "Compare")
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
    check_access(page)
    shoot(page, f"compare-{viewport['width']}")
