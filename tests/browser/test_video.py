"""A video from its upload to its frames, in a browser."""

import json

import pytest
from clips import encode, numbered
from page_window import DESKTOP, PHONE, check_access, open_tab, shoot
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def choose(page, file):
    open_tab(page, "Video")
    page.locator("#video .choose").wait_for()
    page.locator("#video .file").set_input_files(file)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_verdict_timeline_people_and_frames(open_page, bundled, two_people, viewport):
    page = open_page(viewport, at=bundled, color_scheme="dark" if viewport == PHONE else "light")
    open_tab(page, "Video")
    expect(page.locator("#video .limits-first")).to_contain_text("at most 100 MB, 10 minutes and 4K")
    choose(page, two_people)
    expect(page.locator("#clip progress")).to_be_visible(timeout=30_000)
    expect(page.locator("#clip [data-state=done]")).to_be_visible(timeout=60_000)
    expect(page.locator("#clip h2").first).to_contain_text("tracks")
    expect(page.locator("#video .live")).to_contain_text("tracks")
    expect(page.locator("#clip .why")).to_contain_text("There is a cut, which ends tracks.")
    expect(page.locator("#clip .timeline .cut")).to_have_count(1)
    expect(page.locator("#clip .track")).to_have_count(3)
    moments = page.locator("#clip .moments input")
    expect(moments).to_have_count(16)
    frame = page.locator("#clip .frame:visible")
    expect(frame).to_have_count(1)

    page.locator('#clip .dot[data-frame="2"]').first.click()
    expect(frame).to_have_attribute("data-shows-frame", "2")
    expect(frame.locator("img")).to_have_count(2)
    expect(frame).to_contain_text("Track 2: ")
    expect(moments.nth(2)).to_be_checked()
    moments.nth(2).press("ArrowRight")
    expect(frame).to_have_attribute("data-shows-frame", "3")
    face = page.locator("#clip .track").last.locator("button").last
    face.focus()
    face.press("Enter")
    expect(frame).to_have_attribute("data-shows-frame", "15")
    expect(frame).not_to_contain_text("Track 2: ")
    expect(frame).to_be_in_viewport()

    assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]
    assert page.foreign == []
    check_access(page)
    shoot(page, f"video-{viewport['width']}")


def test_a_verdict_is_kept_as_one_page_and_as_json(open_page, bundled, two_people, tmp_path):
    page = open_page(at=bundled)
    choose(page, two_people)
    with page.expect_download(timeout=60_000) as saved:
        page.locator("#clip .save-data").click(timeout=60_000)
    assert saved.value.suggested_filename == "two-people.json"
    kept = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert len(kept["tracks"]) == 3
    assert kept["video"]["codec"] == "VP9"
    with page.expect_download() as saved:
        page.locator("#clip .save-page").click()
    saved.value.save_as(tmp_path / "clip.html")
    report = page.context.new_page()
    report.goto((tmp_path / "clip.html").as_uri())
    expect(report.locator("h2").first).to_have_text(kept["headline"])
    expect(report.locator(".frame:visible")).to_have_count(16)
    expect(report.locator("button, script, input")).to_have_count(0)
    check_access(report)
    shoot(report, "video-report")


def test_no_face_has_no_score_and_what_is_no_video_one_sentence(open_page, bundled, text_file, tmp_path):
    page = open_page(PHONE, at=bundled)
    wall = tmp_path / "wall.webm"
    wall.write_bytes(encode([numbered(number) for number in range(20)], "libvpx-vp9", "webm"))
    choose(page, wall)
    expect(page.locator("#clip h2").first).to_have_text("No face found", timeout=60_000)
    expect(page.locator("#clip .bar, #clip .timeline, #clip .frame")).to_have_count(0)
    check_access(page)
    shoot(page, "video-no-face")
    choose(page, text_file)
    expect(page.locator("#clip [data-state=failed]")).to_contain_text("The video is not a video in any of MP4")
    check_access(page)
