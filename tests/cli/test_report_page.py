"""The report's page in a real browser: the slider is moved, the curves are read, nothing is asked for."""

import numpy as np
import pytest

from velatura.cli import main
from velatura.imaging import Picture

DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def opened(browser):
    """Opens a page; whatever the browser complains of, or asks for, is an error."""
    contexts, complaints = [], []

    def go(path, device=DESK, **settings):
        context = browser.new_context(**device, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url[:80]) if not is_own(asked.url) else None)
        page.goto(path.as_uri())
        return page

    def is_own(url):
        return url.startswith(("file:", "data:"))

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def wait_until(page, expression):
    """Asks again and again; the browser's own way evaluates text in the page, which its policy forbids."""
    for _ in range(1800):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {expression}")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The page of a run of six steps."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for name, size in (("photo", (60, 80)), ("painting", (48, 32))):
        Picture.of(rng.random((*size, 3), np.float32)).save(folder / "inputs" / f"{name}.png")
    inputs = [folder / "inputs" / name for name in ("photo.png", "painting.png")]
    run = ("-o", folder / "out.png", "--history", folder / "losses.json", "--init", "uniform", "--steps", 6)
    for words in (("stylize", *inputs, *run, "-q"), ("report", folder, "-q")):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        assert stop.value.code == 0
    return folder / "report.html"


SWEEP = """
title: Two strengths
base:
  preset: fast
  size: 64
  initialization.name: uniform
  pyramid.steps: [2]
axes:
  strength: [0.5, 2]
pairs:
  - {content: photo.png, style: painting.png}
seeds: 2
metrics: [rmse]
"""


@pytest.fixture(scope="module")
def of_sweep(path, tmp_path_factory):
    """The page of a sweep of two strengths and two seeds."""
    folder = path.parent / "inputs"
    (folder / "two.yaml").write_text(SWEEP)
    results = tmp_path_factory.mktemp("sweep") / "results"
    sweep = ("sweep", folder / "two.yaml", "-o", results, "--jobs", 1, "--set", "optimizer.history=3")
    for words in ((*sweep, "-q"), ("report", results, "-q")):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        assert stop.value.code == 0
    return results / "report.html"


def test_a_sweep_is_shown_with_its_terms_and_its_command(of_sweep, opened):
    page = opened(of_sweep)
    sides = [page.locator(f".stage b.of-{side}").inner_text() for side in ("left", "right")]
    assert [side.split(", ")[0] for side in sides] == ["strength 0.5", "strength 2"]
    assert len({side.split(", ", 1)[1] for side in sides}) == 1, "of one photograph, painting and seed"
    assert page.locator(".plot").first.locator("path").count() == 2
    page.get_by_text("The term style", exact=True).click()
    assert page.locator("details .plot").last.is_visible()
    command = page.locator(".command code").inner_text()
    assert command.startswith("velatura sweep ")
    assert command.endswith("two.yaml --set optimizer.history=3 -o FOLDER")
    assert page.locator(".gallery img, .pictures img").evaluate_all(
        "all => all.every(image => image.naturalWidth > 0)"
    )


def seam_of(page):
    """Where the seam is, in parts of the stage's width, as it is drawn."""
    stage, seam = page.locator(".stage").bounding_box(), page.locator(".seam").bounding_box()
    return (seam["x"] + seam["width"] / 2 - stage["x"]) / stage["width"]


def clips_of(page):
    """How much of the left picture is cut off on its right, and of the right one on its left."""
    return [
        page.locator(f".stage img.{side}").evaluate("image => getComputedStyle(image).clipPath")
        for side in ("left", "right")
    ]


def test_the_slider_follows_the_mouse(path, opened):
    page = opened(path)
    assert seam_of(page) == pytest.approx(0.5, abs=0.01)
    page.locator(".stage").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2, steps=4)
    assert seam_of(page) == pytest.approx(0.2, abs=0.01)
    assert clips_of(page) == ["inset(0px 80% 0px 0px)", "inset(0px 0px 0px 20%)"]
    page.mouse.move(box["x"] - 50, box["y"] + box["height"] / 2)
    assert seam_of(page) == pytest.approx(0.0, abs=0.01)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
    assert seam_of(page) == pytest.approx(0.0, abs=0.01)


def test_the_slider_moves_by_keys_and_says_where_it_is(path, opened):
    page = opened(path)
    slider = page.get_by_role("slider", name="Seam between the two pictures")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert seam_of(page) == pytest.approx(0.51, abs=0.005)
    page.keyboard.press("Home")
    assert seam_of(page) == pytest.approx(0.0, abs=0.005)
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "100 % Photograph, 0 % Result"


def test_the_slider_follows_a_touch(path, opened):
    page = opened(path, PHONE)
    page.locator(".stage").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert seam_of(page) == pytest.approx(0.8, abs=0.02)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_any_two_pictures_can_be_chosen(path, opened):
    page = opened(path)
    sources = page.locator(".pictures img").evaluate_all("all => all.map(image => image.src)")
    assert page.locator(".stage img.left").get_attribute("src") == sources[1]
    page.get_by_label("Left picture").select_option("Painting")
    assert page.locator(".stage img.left").get_attribute("src") == sources[2]
    assert page.locator(".stage b.of-left").inner_text() == "Painting"


def test_the_curves_are_drawn_read_and_switched(path, opened):
    page = opened(path)
    plot = page.locator(".plot")
    assert plot.locator("path").count() == 3
    before = plot.locator("path.sum").get_attribute("d")
    assert before.count("L") == 5
    page.get_by_label("Logarithmic axis").uncheck()
    assert plot.locator("path.sum").get_attribute("d") != before
    page.get_by_role("button", name="content").click()
    assert plot.locator("path").count() == 2
    plot.focus()
    page.keyboard.press("End")
    assert plot.locator(".reading").inner_text().startswith("step 6")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#announcement").inner_text().startswith("Step 5: loss ")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    assert plot.locator(".reading").inner_text().startswith("step 1")
    page.set_viewport_size({"width": 500, "height": 800})
    wait_until(page, "document.querySelector('.plot svg').getAttribute('viewBox').split(' ')[2] < 500")


def test_a_picture_is_enlarged_and_the_command_selected_or_copied(path, opened):
    page = opened(path)
    page.locator(".enlarge").first.click()
    assert page.locator("#large").is_visible()
    assert page.locator("#large-name").inner_text() == "Result, out.png"
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()
    page.locator(".copy").click()
    wait_until(page, "['Copied', 'Selected'].includes(document.querySelector('.copy').textContent)")


def test_results_of_several_runs_are_compared_and_sorted(velatura, stylize, opened, tmp_path):
    for name in ("b", "a", "c"):
        stylize("--history", tmp_path / "runs" / f"{name}.json", output=tmp_path / "runs" / f"{name}.png")
    assert velatura("report", tmp_path / "runs", "-q").status == 0
    page = opened(tmp_path / "runs" / "report.html")
    overview = page.locator(".overview")
    assert overview.locator(".stage b.of-left").inner_text() == "a.png"
    assert overview.locator(".stage b.of-right").inner_text() == "c.png"
    overview.get_by_role("button", name="run").click()
    overview.get_by_role("button", name="run").click()
    assert overview.locator("tbody tr").first.inner_text().split()[0] == "c.png"
    assert page.locator(".stage").count() == 4


def test_dark_and_paper(path, opened):
    light, dark = opened(path), opened(path, color_scheme="dark")
    grounds = [page.evaluate("getComputedStyle(document.body).backgroundColor") for page in (light, dark)]
    assert grounds == ["rgb(236, 236, 236)", "rgb(28, 28, 28)"]
    dark.emulate_media(media="print")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not dark.locator(".compare").is_visible()
    assert dark.locator(".pictures figure").count() == 3


def test_without_scripts_pictures_and_tables_are_there(path, opened):
    page = opened(path, java_script_enabled=False)
    assert page.locator(".pictures img").count() == 3
    assert page.locator("noscript p").is_visible()
    assert page.locator(".chart td").count() > 10
