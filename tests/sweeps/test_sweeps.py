"""The sweeps that ship: that each builds in both forms, and the documents' own numbers."""

import pytest
import yaml

from velatura.core.errors import ConfigError, WeightsError
from velatura.jobs.models import find_model
from velatura.jobs.sweep import load_sweep
from velatura.jobs.sweep.reading import read_document
from velatura.sweeps import sweep_file, sweep_names, sweep_title


def loaded(name, **options):
    """The sweep; skipped where its reference's network does not ship yet."""
    if read_document(sweep_file(name)).value(("reference",)) is not None:
        try:
            find_model("adain-slim")
        except WeightsError:
            pytest.skip("adain-slim is not in this package")
    return load_sweep(name, **options)


@pytest.mark.parametrize("name", sweep_names())
def test_the_title_is_that_of_the_file(name):
    assert sweep_title(name) == yaml.safe_load(sweep_file(name).read_text())["title"]


@pytest.mark.parametrize("name", sweep_names())
@pytest.mark.parametrize("reduced", [False, True])
def test_every_sweep_builds(name, reduced):
    sweep = loaded(name, reduced=reduced)
    assert sweep.title
    assert sweep.source.split()[0] in {"Saric", "Bisht", "Li"}
    for point in sweep.points():
        how = sweep.stylization(point)
        assert (how.size in (128, 160, 192)) == reduced
        if reduced:
            assert how.method.backbone.name == "vgg19-slim" or how.method.backbone.weights == "random"
            assert sum(how.method.pyramid.steps) <= 200


@pytest.mark.parametrize("name", sweep_names())
def test_every_sweep_says_what_its_reduced_form_departs_in(name):
    document = read_document(sweep_file(name))
    assert document.value(("reduced", "note"))
    assert document.value(("title",))


def test_the_weights_of_saric_figure_3_7():
    points = list(load_sweep("saric2020-style-weight").points())
    terms = [
        load_sweep("saric2020-style-weight").stylization(point).method.terms["style"] for point in points
    ]
    assert [term.weight for term in terms] == [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]
    assert dict(terms[0].layers) == {"layer1": 1, "layer2": 0.1, "layer3": 0.01, "layer4": 0.001}


def test_equal_weights_sum_to_the_falling_ones():
    sweep = load_sweep("saric2020-layer-weights")
    equal, falling = (
        sweep.stylization(point).method.terms["style"].layers.values() for point in sweep.points()
    )
    assert list(falling) == [1e5, 1e4, 1e3, 1e2]
    assert sum(equal) == sum(falling)


def test_the_table_of_bisht():
    sweep = loaded("bisht2023-optimizers")
    found = {point.labels["optimizer"]: dict(sweep.published_at(point)[0].values) for point in sweep.points()}
    assert found == {
        "L-BFGS": {"rmse": 0.01187, "psnr": 38.528, "ssim": 0.8864},
        "Adam": {"rmse": 0.01270, "psnr": 38.001, "ssim": 0.8785},
        "AdamW": {"rmse": 0.01238, "psnr": 38.235, "ssim": 0.8801},
    }
    rates = [sweep.stylization(point).method.optimizer.lr for point in sweep.points()]
    assert rates == [1, 0.1, 0.01]


def test_an_unknown_sweep_answers_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'li2018-layers'"):
        sweep_file("li2018-layer")
