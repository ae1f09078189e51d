"""Tiles: the loss and the gradient of a picture in parts are those of the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError, VelaturaError
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.objective import Objective, Term
from velatura.engine.parts import Sight, picture_tiles, sight
from velatura.engine.tiled import TiledObjective
from velatura.losses.content import Content
from velatura.losses.moments import Moments
from velatura.losses.self_similarity import SelfSimilarity
from velatura.losses.wasserstein import Wasserstein


def _pictures(size):
    generator = torch.Generator().manual_seed(3)
    return tuple(
        torch.rand((1, 3, *shape), generator=generator, dtype=torch.float64).contiguous(
            memory_format=torch.channels_last
        )
        for shape in (size, (size[1] + 17, size[0] + 5), size)
    )


def _loss_and_gradient(objective, size):
    content, style, start = _pictures(size)
    objective.aim(content, [style, style.flip(3) ** 2], [0.7, 0.3])
    canvas = start.clone().requires_grad_()
    terms = objective(canvas)
    sum(terms.values()).backward()
    return {name: float(value.detach()) for name, value in terms.items()}, canvas.grad


NETWORKS = {
    "slim": ("vgg19-slim", "native", ("relu1_1", "relu2_2", "relu3_3")),
    "max": ("vgg19-slim", "max", ("conv1_1", "pool2", "relu4_1")),
    "residual": ("resnet18", "native", ("conv1", "layer1", "layer2")),
    "squeezed": ("squeezenet1_1", "native", ("conv1", "fire3", "fire5")),
}
CASES = [
    *(("slim", padding, 16, (9, 30)) for padding in ("zeros", "reflect", "replicate")),
    *((kind, "native", 32, (None, 53)) for kind in NETWORKS),
    *((kind, "replicate", 48, (27, None)) for kind in ("max", "residual", "squeezed")),
]


@pytest.mark.parametrize(("kind", "padding", "own", "more"), CASES)
def test_tiles_give_the_loss_and_the_gradient_of_the_whole(networks, every_term, kind, padding, own, more):
    name, pooling, layers = NETWORKS[kind]
    backbone, terms = networks(name, pooling, padding), every_term(*layers)
    needs = TiledObjective(backbone, terms).needs
    edge = needs.least_edge + own // needs.grid * needs.grid
    tiled = TiledObjective(backbone, terms, edge=edge)
    size = tuple(61 if extra is None else edge + extra for extra in more)
    assert len(picture_tiles(size, edge=edge, needs=needs)) > 1
    expected, wanted = _loss_and_gradient(Objective(backbone, terms), size)
    found, gradient = _loss_and_gradient(tiled, size)
    assert found == {name: pytest.approx(value, rel=1e-10) for name, value in expected.items()}
    assert_close(gradient, wanted, rtol=1e-8, atol=1e-10 * float(wanted.abs().max()))


STYLE = {"style": Term(loss=Moments(), of="style", layers={"relu1_1": 1, "relu2_1": 2})}
WHERE = {"where": Term(loss=Content(), of="content", layers={"relu2_1": 1})}


@pytest.fixture
def slim(networks):
    return networks("vgg19-slim")


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_float32_agrees_to_its_rounding(padding):
    backbone = build_backbone(BackboneConfig(name="vgg19-slim", weights="random", padding=padding))
    terms = {
        "style": Term(
            loss=Wasserstein(reduction="relative"), of="style", layers={"relu1_1": 1, "relu3_1": 2}
        ),
        "content": Term(loss=Content(reduction="relative"), of="content", layers={"relu2_1": 1}),
    }
    size, gradients = (120, 150), []
    content, style, start = (picture.float() for picture in _pictures(size))
    for objective in (Objective(backbone, terms), TiledObjective(backbone, terms, edge=96)):
        objective.aim(content, [style], [1.0])
        canvas = start.clone().requires_grad_()
        sum(objective(canvas).values()).backward()
        gradients.append(canvas.grad)
    assert_close(*gradients, rtol=1e-3, atol=3e-5 * float(gradients[0].abs().max()))


def test_without_a_gradient_the_terms_are_the_same(slim):
    objective = TiledObjective(slim, STYLE | WHERE, edge=64)
    content, style, start = _pictures((80, 70))
    objective.aim(content, [style], [1.0])
    expected = {name: float(value.detach()) for name, value in objective(start.requires_grad_()).items()}
    with torch.no_grad():
        found = objective(start)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)


@given(
    size=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    more=st.integers(20, 200),
    needs=st.builds(
        Sight,
        grid=st.sampled_from([1, 2, 8, 16, 32]),
        before=st.integers(0, 110),
        after=st.integers(0, 110),
        smallest=st.integers(1, 40),
    ),
)
@settings(max_examples=25, deadline=None)
def test_tiles_cover_every_pixel_once_and_read_what_they_need(size, more, needs):
    edge = needs.least_edge + more
    counted = torch.zeros(size, dtype=torch.int)
    for tile in picture_tiles(size, edge=edge, needs=needs):
        counted[tile.rows.own, tile.columns.own] += 1
        for span, length in zip((tile.rows, tile.columns), size, strict=True):
            assert span.read.start % needs.grid == span.own.start % needs.grid == 0
            assert needs.smallest <= span.read.stop - span.read.start <= edge
            assert span.read.start <= max(0, span.own.start - needs.before)
            assert span.read.stop >= min(length, span.own.stop + needs.after)
            assert span.ends == (span.own.stop == length)
    assert bool((counted == 1).all())


@given(st.integers(200, 5000), st.integers(0, 600))
def test_tiles_read_parts_of_one_size(length, more):
    needs = Sight(grid=16, before=70, after=62, smallest=16)
    tiles = picture_tiles((length, 10), edge=needs.least_edge + more, needs=needs)
    read = [tile.rows.read.stop - tile.rows.read.start for tile in tiles]
    assert len(set(read[:-1])) <= 1
    assert read[0] - needs.grid < read[-1] <= read[0]


def test_what_a_layer_sees_of_a_worked_example(slim):
    # Two 3x3 windows, a pool of two, one 3x3 window at stride 2: 1 + 1 + 2 before, 2 + 2 + 1 + 4 wide.
    assert sight(slim, ["relu2_1"]) == Sight(grid=2, before=4, after=4, smallest=2)
    assert sight(slim, [], beyond=1) == Sight(grid=1, before=0, after=1, smallest=1)


def test_a_tile_smaller_than_what_is_seen_says_the_smallest(slim):
    with pytest.raises(ConfigError, match=r"a tile of 8 pixels is smaller .* choose at least 10 "):
        TiledObjective(slim, STYLE, edge=8)
    TiledObjective(slim, STYLE, edge=10)


def test_a_loss_that_looks_at_all_of_the_picture_is_named(slim):
    terms = STYLE | {"alike": Term(loss=SelfSimilarity(), of="content", layers={"relu2_1": 1})}
    TiledObjective(slim, terms)
    with pytest.raises(ConfigError, match=r"'alike' cannot be computed in tiles: its loss 'self_similarity'"):
        TiledObjective(slim, terms, edge=64)


class _Full:
    """A backbone that has no room for more than so many pixels."""

    def __init__(self, backbone, most, error=None):
        self.backbone, self.most, self.refused = backbone, most, []
        self.error = error or RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    def __call__(self, image, layers, *, visit=None):
        if image.shape[2] * image.shape[3] > self.most:
            self.refused.append(tuple(image.shape[2:]))
            raise self.error
        return type(self.backbone).forward(self.backbone, image, layers, visit=visit)


@pytest.fixture
def full(monkeypatch):
    def leaves_room(backbone, most, error=None):
        narrow = _Full(backbone, most, error)
        monkeypatch.setattr(backbone, "forward", narrow)
        return narrow

    return leaves_room


@pytest.mark.parametrize(
    "error",
    [
        None,
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("could not create a memory"),
        RuntimeError("could not create a memory object"),
    ],
)
def test_where_memory_runs_out_tiles_halve_and_the_gradient_stays(slim, full, error):
    expected, wanted = _loss_and_gradient(Objective(slim, STYLE | WHERE), (80, 70))
    objective = TiledObjective(slim, STYLE | WHERE)
    narrow = full(slim, 50 * 50, error)
    found, gradient = _loss_and_gradient(objective, (80, 70))
    assert objective.edge == 40
    assert len(narrow.refused) == 1
    assert objective.notes == [
        "not enough memory for all 70x80 pixels at once: went on from the last step in tiles of 40"
    ]
    assert found == {name: pytest.approx(value, rel=1e-10) for name, value in expected.items()}
    assert_close(gradient, wanted)


class _Cramped(torch.autograd.Function):
    """The way back through a picture that has no room for more than so many pixels."""

    @staticmethod
    def forward(ctx, image, most):
        ctx.most = most
        return image.clone()

    @staticmethod
    def backward(ctx, gradient):
        if gradient.shape[2] * gradient.shape[3] > ctx.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return gradient, None


def test_where_memory_runs_out_on_the_way_back_tiles_halve_too(small, monkeypatch):
    stylizer, reports = small.stylizer("adam"), []
    expected = small.paint(small.stylizer("adam")).pixels
    forward = stylizer.backbone.forward
    monkeypatch.setattr(
        stylizer.backbone,
        "forward",
        lambda image, *rest, **more: forward(_Cramped.apply(image, 20 * 20), *rest, **more),
    )
    pixels = small.paint(stylizer, on_progress=reports.append).pixels
    assert_close(pixels, expected, rtol=0, atol=2e-3)
    messages = [report.message for report in reports]
    assert sum("went on from the last step in tiles of" in message for message in messages) == 1


def test_where_the_smallest_tile_has_no_room_the_error_stays(slim, full):
    full(slim, 80)
    with pytest.raises(RuntimeError, match="allocate memory"):
        _loss_and_gradient(TiledObjective(slim, STYLE), (80, 70))


@pytest.mark.parametrize(
    "message",
    [
        "broken",
        "could not create a primitive descriptor for the eltwise forward propagation primitive",
        "could not create a memory descriptor from blob",
    ],
)
def test_another_error_is_not_taken_for_it(slim, full, message):
    full(slim, 80, RuntimeError(message))
    objective = TiledObjective(slim, STYLE)
    with pytest.raises(RuntimeError, match=message):
        _loss_and_gradient(objective, (80, 70))
    assert objective.edge is None


def test_a_loss_that_detaches_is_named(slim):
    class Detached(Moments):
        name = "detached"

        def sums(self, part, target):
            return {key: value.detach() for key, value in super().sums(part, target).items()}

    terms = STYLE | {"cut": Term(loss=Detached(), of="style", layers={"relu1_1": 1})}
    with pytest.raises(VelaturaError, match=r"term 'cut' has no gradient: its loss 'detached'"):
        _loss_and_gradient(TiledObjective(slim, terms, edge=64), (80, 70))


def test_statistics_of_the_last_step_stand_in_from_the_second(slim):
    content, style, start = _pictures((80, 70))
    exact, old = (
        TiledObjective(slim, STYLE, edge=64, statistics=statistics) for statistics in ("exact", "last-step")
    )
    after = (start + 0.02 * torch.rand_like(start)).contiguous(memory_format=torch.channels_last)
    gradients = {}
    for objective in (exact, old):
        objective.aim(content, [style], [1.0])
        for canvas in (start / 3, after / 3):
            leaf = canvas.clone().requires_grad_()
            terms = objective(leaf)
            sum(terms.values()).backward()
            gradients.setdefault(objective, []).append((float(terms["style"].detach()), leaf.grad))
    (first, one), (second, two) = gradients[exact]
    (first_old, one_old), (second_old, two_old) = gradients[old]
    assert first_old == pytest.approx(first)
    assert_close(one_old, one)
    # The value is that of the canvas; the slope is of the one before.
    assert second_old == pytest.approx(second)
    away = float((two_old - two).norm() / two.norm())
    assert 1e-6 < away < 0.3


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_in_tiles_is_the_run_of_the_whole(small, optimizer):
    whole = small.paint(small.stylizer(optimizer))
    tiled = small.paint(small.stylizer(optimizer, tile=16))
    assert_close(tiled.pixels, whole.pixels, rtol=0, atol=2e-3)
    assert [entry["loss"] for entry in tiled.history] == pytest.approx(
        [entry["loss"] for entry in whole.history], rel=1e-3
    )


@pytest.mark.parametrize(("optimizer", "statistics"), [("lbfgs", "exact"), ("adam", "last-step")])
@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_run_in_tiles_resumes_to_the_same_pixels(
    small, tmp_path, steps, optimizer, statistics, cancelled_after
):
    path = tmp_path / "run.safetensors"

    def stylizer():
        return small.stylizer(optimizer, tile=16, tile_statistics=statistics)

    whole = small.paint(stylizer())
    small.paint(stylizer(), checkpoints=Checkpoints(save_to=path), **cancelled_after(steps))
    resumed = small.paint(stylizer(), checkpoints=Checkpoints(resume_from=path))
    assert_close(resumed.pixels, whole.pixels, rtol=0, atol=0)
    assert resumed.history == whole.history


def test_a_run_that_is_out_of_memory_goes_on_and_says_so(small, full):
    stylizer, reports = small.stylizer("adam"), []
    expected = small.paint(small.stylizer("adam")).pixels
    full(stylizer.backbone, 20 * 20)
    pixels = small.paint(stylizer, on_progress=reports.append).pixels
    assert_close(pixels, expected, rtol=0, atol=2e-3)
    messages = [report.message for report in reports]
    assert sum("went on from the last step in tiles of" in message for message in messages) == 1
