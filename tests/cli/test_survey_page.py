"""The survey's page, filled in through a real browser, and the answers that it saves, analysed."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from velatura.imaging import Picture
from velatura.jobs.survey.definition import unseal
from velatura.jobs.survey.plan import plan

ITEMS = ("lake", "town", "still", "tree")
SHAPES = {"lake": (90, 160), "town": (90, 160), "still": (160, 90), "tree": (120, 120)}
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LYING_PHONE = {**PHONE, "viewport": {"width": 844, "height": 390}}


@pytest.fixture
def survey(velatura, tmp_path):
    """Makes a survey of four pictures by two methods: the first's are reddish, the second's bluish."""

    def make(*words, context=True):
        for method, tint in (("ours", (1, 0.3, 0.2)), ("theirs", (0.2, 0.4, 1)), ("photos", (1, 1, 1))):
            (tmp_path / method).mkdir()
            for item in ITEMS:
                grain = np.random.default_rng(ITEMS.index(item)).random((*SHAPES[item], 1), np.float32)
                Picture.of(grain * np.float32(tint)).save(tmp_path / method / f"{item}.png")
        if context:
            words = (*words, "--content", tmp_path / "photos", "--style", tmp_path / "photos" / "lake.png")
        folders = (tmp_path / "ours", tmp_path / "theirs")
        answer = velatura("survey", "make", *folders, "-o", tmp_path / "survey.html", "-q", *words)
        assert answer.status == 0, answer
        return tmp_path / "survey.html"

    return make


@pytest.fixture
def opened(browser):
    """Opens a page as a new person; whatever the browser complains of, or asks for, is an error."""
    contexts, complaints = [], []

    def go(path, device=DESK, **settings):
        context = browser.new_context(**device, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        wanted = []
        page.on("request", lambda asked: wanted.append(asked.url))
        page.asked_for = wanted
        page.goto(path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def wait_for_trial(page):
    """Waits until a choice can be made, and gives the number of those made so far."""
    page.wait_for_function(
        "() => !document.querySelector('#end').hidden || (!document.querySelector('#trial').hidden"
        " && !document.querySelector('.waiting, .chosen'))"
    )
    return 0 if page.is_visible("#end") else int(page.inner_text("#place").split(" of ")[0])


def wanted_side(page, prefers):
    """The side that this rater chooses: what a check asks, else the redder or the bluer picture."""
    check = re.match(r"This is a check: please choose picture (\d)", page.inner_text("#asked"))
    if check:
        return "left" if check[1] == "1" else "right"
    redness = {side: _redness(page.get_attribute(f"#{side} img", "src")) for side in ("left", "right")}
    pick = max if prefers == "red" else min
    return pick(redness, key=redness.get)


def _redness(uri):
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"), float)
    return pixels[..., 0].mean() - pixels[..., 2].mean()


def by_click(page, side):
    page.click(f"#{side}")


def by_touch(page, side):
    page.tap(f"#{side}")


def by_digit(page, side):
    page.keyboard.press("1" if side == "left" else "2")


def by_arrow(page, side):
    page.keyboard.press("ArrowLeft" if side == "left" else "ArrowRight")


def answer_until(page, answer, prefers, *, stop=None):
    """Answers until the end, or until the choice numbered ``stop`` is asked."""
    while (number := wait_for_trial(page)) and number != stop:
        answer(page, wanted_side(page, prefers))
        page.wait_for_function(
            f"() => !document.querySelector('#place').textContent.startsWith('{number} ')"
            " || !document.querySelector('#end').hidden"
        )


def saved(page, tmp_path):
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / "answers" / download.value.suggested_filename
    download.value.save_as(path)
    assert "Saved as answers-" in page.inner_text("#said")
    return path


def test_people_answer_and_the_answers_are_counted(velatura, survey, opened, tmp_path):
    path = survey("--checks", 2, "--repeat", 1)
    ways = [(by_click, DESK, "red"), (by_touch, PHONE, "red"), (by_digit, DESK, "red")]
    ways += [(by_arrow, LYING_PHONE, "blue")]
    for answer, device, prefers in ways:
        page = opened(path, device)
        assert page.inner_text("#count") == "7"
        page.click("#begin")
        answer_until(page, answer, prefers)
        file = saved(page, tmp_path)
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.asked_for)
        content = json.loads(file.read_text())
        definition = unseal(content["sealed"], id=content["survey"])
        shown = [(one["kind"], one["left"], one["right"], one["asked"]) for one in content["answers"]]
        expected = plan(definition, content["rater"])
        assert shown == [(trial.kind, trial.left, trial.right, trial.asked) for trial in expected]
        assert content["checks"] == {"shown": 2, "passed": 2}
        assert all(0 < one["ms"] < 60_000 for one in content["answers"])
    report = tmp_path / "report.json"
    answer = velatura("survey", "analyse", tmp_path / "answers", "-o", report, "-o", tmp_path / "report.md")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == (tmp_path / "report.md").read_text(encoding="utf-8")
    found = json.loads(report.read_text(encoding="utf-8"))
    (duel,) = found["overall"]["duels"]
    assert (duel["first"], duel["wins"], duel["votes"]) == ("ours", 12, 16)
    assert (found["repeated_alike"]["wins"], found["repeated_alike"]["votes"]) == (4, 4)
    assert {item["duels"][0]["wins"] for item in found["items"].values()} == {3}


def test_who_does_not_read_is_left_out(velatura, survey, opened, tmp_path):
    path = survey("--checks", 4)
    page = opened(path)
    page.click("#begin")
    answer_until(page, by_click, "red")
    saved(page, tmp_path)
    page = opened(path)
    page.click("#begin")
    while number := wait_for_trial(page):
        side = wanted_side(page, "blue")
        if "check" in page.inner_text("#asked"):
            side = "left" if side == "right" else "right"
        page.click(f"#{side}")
        page.wait_for_function(
            f"() => !document.querySelector('#place').textContent.startsWith('{number} ')"
            " || !document.querySelector('#end').hidden"
        )
    saved(page, tmp_path)
    answer = velatura("survey", "analyse", tmp_path / "answers")
    assert "Left out: 1 of 2 raters failed a check" in answer.out
    assert "| all | ours | theirs | 4 : 0 |" in answer.out


def test_a_pause_a_closed_page_and_a_step_back(velatura, survey, opened, tmp_path):
    path = survey("--checks", 1)
    page = opened(path)
    page.click("#begin")
    assert page.is_disabled("#undo")
    answer_until(page, by_click, "red", stop=3)
    page.keyboard.press("p")
    assert "You have made 2 of 5 choices. They are kept in this browser" in page.inner_text("#paused")
    page.keyboard.press("1")  # Nothing is chosen while nothing is shown.
    page.close()
    page = page.context.new_page()
    page.goto(path.as_uri())
    assert page.is_visible("#paused")
    page.click("#resume")
    assert wait_for_trial(page) == 3
    before = page.get_attribute("#left img", "src"), page.inner_text("#asked")
    answer_until(page, by_digit, "blue", stop=4)  # A slip,
    page.keyboard.press("Backspace")  # taken back.
    assert wait_for_trial(page) == 3
    assert (page.get_attribute("#left img", "src"), page.inner_text("#asked")) == before
    answer_until(page, by_digit, "red")
    page.click("#back")
    assert wait_for_trial(page) == 5
    answer_until(page, by_digit, "red")
    page.reload()
    assert page.is_visible("#end")
    content = json.loads(saved(page, tmp_path).read_text())
    assert len(content["answers"]) == 5
    answer = velatura("survey", "analyse", tmp_path / "answers")
    assert "| all | ours | theirs | 4 : 0 |" in answer.out


def test_the_next_person_on_the_same_device_has_another_number(survey, opened, tmp_path):
    page = opened(survey("--checks", 0))
    raters, said = [], []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    for _ in range(2):
        page.click("#begin")
        answer_until(page, by_digit, "red")
        raters.append(json.loads(saved(page, tmp_path).read_text())["rater"])
        page.click("#next-rater")
        assert page.is_visible("#start")
    assert raters[0] != raters[1]
    assert said == []


def test_answers_that_were_not_saved_are_not_thrown_away_unasked(survey, opened):
    page = opened(survey("--checks", 0))
    page.click("#begin")
    answer_until(page, by_digit, "red")
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.click("#next-rater")
    assert "have not been saved" in said[0]
    assert page.is_visible("#end")


def test_answers_can_be_copied(survey, opened, browser):
    page = opened(survey("--checks", 0), permissions=["clipboard-read", "clipboard-write"])
    page.click("#begin")
    answer_until(page, by_digit, "red")
    page.click("#copy")
    page.wait_for_function("() => document.querySelector('#said').textContent.startsWith('Copied')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied) == json.loads(page.input_value("#answers"))


@pytest.mark.parametrize("device", [DESK, PHONE, LYING_PHONE, {"viewport": {"width": 320, "height": 568}}])
def test_both_pictures_are_whole_equal_and_in_sight(survey, opened, device):
    page = opened(
        survey("--checks", 0, "--question", "Which of the two is nearer to the painting beside it?"), device
    )
    page.click("#begin")
    sizes = []
    while wait_for_trial(page):
        one, other = (page.locator(f"#{side} img").bounding_box() for side in ("left", "right"))
        assert (one["width"], one["height"]) == (other["width"], other["height"])
        for box in (one, other):
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= device["viewport"]["width"]
            assert box["y"] + box["height"] <= device["viewport"]["height"]
        assert one["x"] + one["width"] < other["x"] or one["y"] + one["height"] < other["y"]
        sizes.append(min(one["width"], one["height"]))
        number = page.inner_text("#place")
        page.keyboard.press("1")
        page.wait_for_function(
            "(number) => document.querySelector('#place').textContent !== number"
            " || !document.querySelector('#end').hidden",
            arg=number,
        )
    assert len(sizes) == 4
    assert min(sizes) > 90
    assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]


def test_the_photograph_can_be_looked_at_more_closely(survey, opened):
    page = opened(survey("--checks", 0))
    page.click("#begin")
    wait_for_trial(page)
    page.click("#content")
    assert page.is_visible("#large")
    page.keyboard.press("1")  # The pictures are covered: nothing is chosen.
    page.keyboard.press("Escape")
    assert page.is_hidden("#large")
    assert wait_for_trial(page) == 1


def test_without_photographs_there_is_no_empty_place_for_them(survey, opened):
    page = opened(survey("--checks", 0, context=False))
    assert page.is_hidden("#checked")
    page.click("#begin")
    wait_for_trial(page)
    assert page.is_hidden("#context")


def test_what_a_screen_reader_is_told(survey, opened):
    page = opened(survey("--checks", 0))
    page.click("#begin")
    wait_for_trial(page)
    tree = page.locator("body").aria_snapshot()
    assert 'button "Picture 1"' in tree
    assert 'button "Picture 2"' in tree
    assert 'progressbar "Choices made"' in tree
    assert 'group "Which picture do you like better?"' in tree
    assert page.text_content("#announcement") == "1 of 4. Which picture do you like better?"
    page.focus("#left")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#place').textContent === '2 of 4'")
    assert page.evaluate("document.activeElement.id") == "left"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(survey, opened, scheme):
    page = opened(survey("--checks", 0), color_scheme=scheme)
    for screen, words in (("start", ["h1", ".small", "#begin"]), ("trial", ["#asked", "#place", "#pause"])):
        for selector in words:
            ink, ground = page.eval_on_selector(f"#{screen} {selector}", _COLORS)
            assert _contrast(ink, ground) >= 4.5, (scheme, selector, ink, ground)
        if screen == "start":
            page.click("#begin")
            wait_for_trial(page)


_COLORS = """element => {
  const ink = getComputedStyle(element).color;
  while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
  return [ink, getComputedStyle(element).backgroundColor];
}"""


def _contrast(*colors):
    """The contrast ratio of WCAG 2."""

    def luminance(color):
        values = [int(value) / 255 for value in re.findall(r"\d+", color)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, colors))
    return (high + 0.05) / (low + 0.05)
