"""``velatura report``: what is on the page, taken apart again."""

import json
import re
import shlex

import numpy as np
import pytest

from velatura.imaging import Picture, read_picture, read_text, write_picture

HOSTILE = "<img src=x onerror=alert(1)> & 'q' \"d\""


@pytest.fixture
def run(stylize, tmp_path):
    """A run with everything that it may leave behind."""
    folder = tmp_path / "run"
    extras = ["--record", folder / "job.json", "--history", folder / "losses.json", "--save-every", 1]
    answer = stylize(*extras, "--strength", 1.5, "--set", "optimizer.lr=0.5", output=folder / "out.png")
    assert answer.status == 0, answer
    return folder


def command_on(page):
    return next(
        word for word in page.words if word.startswith(("velatura stylize ", "velatura reconstruct "))
    )


def test_a_run_has_its_pictures_losses_and_settings(report, run):
    found = report(run)
    assert found.page.figures == ["Result", "Photograph", "Painting", "Step 1", "Step 2"]
    assert [attributes for attributes in found.page.all("div") if "data-compare" in attributes] == [
        {"class": "pictures", "data-compare": "1 0"}
    ]
    (chart,) = found.page.data
    history = json.loads((run / "losses.json").read_text())
    assert [curve["name"] for curve in chart["curves"]] == ["loss", *history[0]["terms"]]
    for step, (at, value) in enumerate(chart["curves"][0]["points"]):
        assert at == step + 1
        assert value == pytest.approx(history[step]["loss"], rel=1e-5)
    record = json.loads(read_text(run / "out.png", "velatura"))
    for known in (record["weights"]["sha256"], record["pictures"]["content"], record["versions"]["torch"]):
        assert known in found.page.text
    assert "optimizer.lr 0.5 1" in found.page.text
    assert found.out.endswith(f"report.html: 1 run, {len(found.html.encode()) / 1024:.0f} KiB\n")


def test_the_page_is_one_file_that_asks_for_nothing(report, run):
    found = report(run)
    (policy,) = (tag["content"] for tag in found.page.all("meta") if "http-equiv" in tag)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for _, attributes in found.page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"""(?:src|href)=["']?http""", found.html)


def test_the_command_makes_the_same_pixels_and_settings_again(report, run, velatura, tmp_path):
    words = shlex.split(command_on(report(run).page))
    before = read_picture(run / "out.png").pixels
    record = json.loads(read_text(run / "out.png", "velatura"))
    (run / "out.png").unlink()
    assert velatura(*words[1:]).status == 0
    assert (read_picture(run / "out.png").pixels == before).all()
    assert json.loads(read_text(run / "out.png", "velatura")) == record


@pytest.mark.parametrize("name", ["job.json", "out.png"])
def test_a_record_or_a_picture_stands_for_its_run(report, run, name):
    assert report(run / name).page.figures == report(run).page.figures


def test_a_run_that_was_moved_still_has_its_losses(report, run, tmp_path):
    moved = tmp_path / "elsewhere" / "kept"
    moved.parent.mkdir()
    run.rename(moved)
    found = report(moved)
    assert len(found.page.data) == 1
    assert found.page.figures[:3] == ["Result", "Photograph", "Painting"]


def test_a_record_without_its_picture_says_so(report, run):
    (run / "out.png").unlink()
    found = report(run / "job.json")
    assert "out.png is not there" in found.page.text
    assert "Result" not in found.page.figures
    assert command_on(found.page)


def test_another_picture_under_the_photograph_s_name_is_not_shown(report, run, photo):
    Picture.of(np.zeros((32, 40, 3), np.float32)).save(photo)
    found = report(run)
    assert "Photograph" not in found.page.figures
    assert f"Photograph: {photo} has other pixels now" in found.page.text
    photo.unlink()
    assert f"Photograph: {photo} is not there" in report(run).page.text


def test_an_evaluation_beside_is_a_table(report, run, velatura, photo, painting):
    words = ("--metric", "rmse", "--metric", "edge-similarity", "--json", run / "values.json", "-q")
    assert velatura("evaluate", "--content", photo, "--style", painting, run / "out.png", *words).status == 0
    value = json.loads((run / "values.json").read_text())["pictures"][0]["values"]["rmse"]
    text = report(run).page.text
    assert f"rmse lower is better · of the pixel range [0, 1] {value:.4g}" in text
    assert "edge-similarity higher is better" in text


def test_several_runs_have_an_overview_that_leads_to_each(report, stylize, tmp_path):
    for seed in (1, 2):
        stylize("--init", "uniform", "--seed", seed, output=tmp_path / "runs" / f"{seed}.png")
    (tmp_path / "runs" / "notes.txt").write_text("hello")
    Picture.of(np.zeros((8, 8, 3), np.float32)).save(tmp_path / "runs" / "other.png")
    found = report(tmp_path / "runs")
    assert "2 runs" in found.out
    links = [attributes["href"] for attributes in found.page.all("a")]
    assert links == ["#run-1", "#run-2"]
    assert {f"#{tag['id']}" for tag in found.page.all("section") if "id" in tag} == set(links)
    results = [tag["data-result"] for tag in found.page.all("figure") if "data-result" in tag]
    assert results == ["1.png", "2.png"]


def test_one_pass_of_a_network_has_its_command_too(report, velatura, models, photo, painting, tmp_path):
    out = tmp_path / "net" / "out.png"
    assert velatura("stylize", photo, painting, "-o", out, "--preset", "instant", "-q").status == 0
    found = report(tmp_path / "net")
    assert shlex.split(command_on(found.page)) == [
        *("velatura", "stylize", str(photo), str(painting), "-o", str(out), "--preset", "instant")
    ]


@pytest.mark.parametrize(
    ("kind", "options", "last"),
    [
        ("content", ("--steps", 3), "last loss"),
        ("style", ("--steps", 3), "last loss"),
        ("deepdream", ("--steps", 3, "--octaves", 1, "--channel", 2), "last activation"),
    ],
)
def test_a_grid_names_layers_and_networks_and_has_its_command(
    report, velatura, photo, tmp_path, kind, options, last
):
    folder = tmp_path / "grid"
    words = ["--layers", "relu1_1,relu2_1", "--networks", "random,own=vgg19-slim", *options, "--size", 32]
    assert velatura("reconstruct", kind, photo, "-o", folder, *words, "-q").status == 0
    found = report(folder)
    cells = json.loads((folder / "losses.json").read_text())["cells"]
    for cell in cells:
        assert f"layer {cell['layer']}, network {cell['network']} {cell['losses'][-1]:.4g}" in found.page.text
    assert last in found.page.text
    assert found.page.figures.count("Picture") == len(cells) == 4
    assert len(found.page.data) == 4
    again = shlex.split(command_on(found.page))
    assert again[:4] == ["velatura", "reconstruct", kind, str(photo)]
    assert again[-4:] == ["--layers", "relu1_1,relu2_1", "--networks", "random,own=vgg19-slim"]
    assert "no command can be given" not in found.page.text
    # What the command asks for is what is there already.
    answer = velatura(*again[1:])
    assert (answer.status, "4 of 4 pictures were finished already" in answer.err) == (0, True)


def test_a_dream_is_reported_on_and_made_again(report, velatura, photo, tmp_path):
    out = tmp_path / "dream" / "out.png"
    extras = ["--record", out.with_name("job.json"), "--history", out.with_name("losses.json")]
    words = ["--layer", "relu2_1", "--octaves", 2, "--steps", 2, "--jitter", 3, "--seed", 5, *extras]
    assert velatura("reconstruct", "deepdream", photo, "-o", out, *words, "-q").status == 0
    for source in (out, out.parent, out.with_name("job.json")):
        found = report(source)
        assert found.page.figures == ["Result", "Picture"]
        assert "layer relu2_1" in found.page.text
    before = read_picture(out).pixels
    record = json.loads(read_text(out, "velatura"))
    (chart,) = found.page.data
    assert [curve["name"] for curve in chart["curves"]] == ["activation"]
    out.unlink()
    assert velatura(*shlex.split(command_on(found.page))[1:]).status == 0
    assert (read_picture(out).pixels == before).all()
    assert json.loads(read_text(out, "velatura")) == record


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["job"].update(layers=3, networks=["x"]),
        lambda record: record["job"].update(layers=[3], networks={"a": None}),
        lambda record: record["job"].update(networks={"": "", "b,c": "d"}),
        lambda record: record.update(cell=[1]),
        lambda record: record["stylization"]["method"].update(backbone="x"),
        lambda record: record["stylization"]["method"]["terms"]["content"].update(layers=[1]),
    ],
)
def test_a_picture_of_a_grid_whose_record_makes_no_sense(report, velatura, photo, tmp_path, change):
    folder = tmp_path / "grid"
    words = ["--layers", "relu1_1", "--networks", "random", "--steps", 1, "--size", 32]
    assert velatura("reconstruct", "content", photo, "-o", folder, *words, "-q").status == 0
    record = json.loads(read_text(folder / "relu1_1-random.png", "velatura"))
    change(record)
    texts = {"velatura": json.dumps(record), "velatura-losses": "[[1, 2], 3, [0, 0, 1e999]]"}
    write_picture(read_picture(folder / "relu1_1-random.png"), tmp_path / "odd.png", metadata=texts)
    assert "velatura report" in report(tmp_path / "odd.png").page.text


def test_hostile_names_and_records_stay_text(report, stylize, photo, tmp_path):
    folder = tmp_path / "evil"
    name = "<script>alert(1)<script>.png"
    content = photo.rename(photo.with_name("<title><b>.png"))
    extras = ["--record", folder / "job.json", "--history", folder / "losses.json"]
    assert stylize(*extras, content=content, output=folder / name).status == 0
    record = json.loads((folder / "job.json").read_text())
    record["weights"]["source"] = record["versions"][HOSTILE] = HOSTILE
    record["stylization"]["method"][HOSTILE] = HOSTILE
    record["job"]["output"] = f"{HOSTILE}.png"
    (folder / "other.json").write_text(json.dumps(record))
    history = [
        {"step": 1, "loss": 1.0, "terms": {"</script><b>": 1.0}, "size": ["<b>", "<i>"], "scale": 0}
    ] * 2
    history[1] = history[1] | {"scale": HOSTILE}
    (folder / "losses.json").write_text(json.dumps(history))
    found = report(folder, "--title", HOSTILE)
    assert name in found.page.text
    assert found.page.text.count(HOSTILE) > 4
    assert found.page.data[0]["curves"][1]["name"] == "</script><b>"
    assert len(found.page.all("script")) == len(found.page.data) + 1
    assert not any("onerror" in attributes for _, attributes in found.page.tags)
    assert {tag["src"][:5] for tag in found.page.all("img") if "src" in tag} == {"data:"}


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(job=3),
        lambda record: record["job"].update(styles="x", saving=[1], content=["a"]),
        lambda record: record["stylization"].update(preset=["x"], seed={}),
        lambda record: record["stylization"]["method"].update(terms=None),
        lambda record: record.update(versions=None, machine=4, weights="w"),
        lambda record: record["pictures"].update(content=None, styles=[None, 3]),
        lambda record: record["job"]["saving"].update(history="\0", save_every=1, save_pattern="[{step}"),
        lambda record: record["job"].update(output="n" * 5000),
    ],
)
def test_a_record_that_makes_no_sense_is_shown_as_far_as_it_goes(report, run, change):
    record = json.loads((run / "job.json").read_text())
    change(record)
    (run / "job.json").write_text(json.dumps(record))
    assert "velatura report" in report(run / "job.json").page.text


def test_a_broken_file_beside_is_named(report, run):
    (run / "broken.json").write_text('{"loss": ')
    (run / "out-00001.png").write_bytes(b"no picture")
    found = report(run)
    assert "broken.json cannot be read" in found.page.text
    assert "out-00001.png" in found.err
    assert found.page.figures == ["Result", "Photograph", "Painting", "Step 2"]


def test_what_is_nothing_to_report_on_is_refused(refused, run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds nothing to report on: expected a picture of 'velatura stylize'" in refused("report", empty)
    assert f"there is no {tmp_path / 'missing'}" in refused("report", tmp_path / "missing")
    assert "is the losses of one, not the record of a run" in refused("report", run / "losses.json")
    (empty / "a.json").write_text("[1")
    assert "it is no JSON" in refused("report", empty / "a.json")
    assert "a.json cannot be read" in refused("report", empty)
    (empty / "a.json").write_text(json.dumps({"stylization": {"method": {}}}))
    assert "is another kind of JSON" in refused("report", empty / "a.json")
    Picture.of(np.zeros((8, 8, 3), np.float32)).save(empty / "plain.png")
    assert "carries no record of how it was made" in refused("report", empty / "plain.png")
    assert "expected an HTML file" in refused("report", run, "-o", run / "out.png")
    assert "size" in refused("report", run, "--size", "4")


def test_without_a_name_the_page_lies_beside(velatura, run):
    answer = velatura("report", run)
    assert answer.out.startswith(f"{run / 'report.html'}: 1 run")
    assert (run / "report.html").exists()
    assert velatura("report", run / "job.json", "-q").out.startswith(str(run / "report.html"))


def test_a_training_has_its_curves_pictures_and_network(report, velatura, painting, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        Picture.of(rng.random((40, 48, 3), np.float32)).save(tmp_path / "photos" / f"{number}.png")
    folder = tmp_path / "training"
    words = ["--content", tmp_path / "photos", "--styles", painting, "-o", folder, "--steps", 4, "--batch", 1]
    words += ["--report-every", 1, "--validate-every", 2, "--workers", 0, "-q"]
    settings = ["backbone.name=vgg19-slim", "network.width=2", "network.norm=instance", "crop=16"]
    settings += ["terms.style.layers={relu1_1=1}", "terms.content.layers={relu1_1=1}", "style_size=24"]
    words += [word for setting in settings for word in ("--set", setting)]
    answer = velatura("train", "johnson", *words)
    assert answer.status == 0, answer
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')
    found = report(folder)
    assert found.page.figures[0] == "Step 0"
    assert found.page.figures[-1] == "Step 4"
    curves = found.page.data[0]["curves"]
    assert {(curve["name"], curve["held"]) for curve in curves} >= {("loss", False), ("loss", True)}
    learnt = next(curve for curve in curves if curve["name"] == "loss" and not curve["held"])
    assert [step for step, _ in learnt["points"]] == [1, 2, 3, 4]
    text = found.page.text
    assert "network johnson preset johnson2016 step 4" in text
    command = next(word for word in found.page.words if word.startswith("velatura train "))
    words = shlex.split(command)
    assert words[:9] == [
        "velatura",
        "train",
        "johnson2016",
        "--content",
        "PHOTOGRAPHS",
        "--styles",
        "PAINTINGS",
        "-o",
        "RUN",
    ]
    assert words[words.index("--steps") + 1] == "4"
    assert "network.width=2" in words
    assert re.search(r"style painting, SHA-256 [0-9a-f]{64}", text)
    assert "1 of 8 lines of log.jsonl cannot be read" in text
    (folder / "model.safetensors").unlink()
    assert "settings and versions are not known" in report(folder).page.text
