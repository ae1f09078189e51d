import pytest
import torch
from torch import nn
from torch.testing import assert_close

from velatura.backbones import Backbone, Preprocessing
from velatura.backbones.loading import check_first_key, preprocessing_of, set_weights, source_of
from velatura.core.errors import WeightsError
from velatura.weights import Weights


class Stem(Backbone):
    def __init__(self):
        super().__init__(preprocessing=Preprocessing.torchvision(), source="stem")
        self.shapes = {}
        self.conv = nn.Conv2d(3, 400, 3)
        self.norm = nn.BatchNorm2d(400)

    def _maps(self, inputs, wanted):
        yield "norm", self.norm(self.conv(inputs))


STATE = {
    "conv.weight": torch.rand(400, 3, 3, 3),
    "conv.bias": torch.rand(400),
    "norm.weight": torch.rand(400),
    "norm.bias": torch.rand(400),
    "norm.running_mean": torch.rand(400),
    "norm.running_var": torch.rand(400),
}


def weights(state, preprocessing="torchvision"):
    return Weights(state=state, preprocessing=preprocessing, source="stem.safetensors")


def filled(state, preprocessing="torchvision", seed=0):
    with torch.device("meta"):
        network = Stem()
    given = None if state is None else weights(state, preprocessing)
    set_weights(network, given, architecture="stem", generator=torch.Generator().manual_seed(seed))
    return network


def test_a_files_tensors_arrive_under_their_keys():
    found = filled(STATE).state_dict()
    assert found.pop("norm.num_batches_tracked") == 0
    assert found.keys() == STATE.keys()
    for key, tensor in STATE.items():
        assert_close(found[key], tensor)


def test_half_precision_becomes_float32():
    found = filled({key: tensor.half() for key, tensor in STATE.items()})
    assert found.conv.weight.dtype is torch.float32
    assert_close(found.conv.weight.detach(), STATE["conv.weight"], rtol=1e-3, atol=1e-4)


def test_a_file_may_bring_counters():
    counters = {"norm.num_batches_tracked": torch.tensor(7.0)}
    assert filled(STATE | counters).norm.running_var.device.type == "cpu"


def test_the_network_is_frozen():
    network = filled(STATE)
    assert not network.norm.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def without(key):
    return {own: tensor for own, tensor in STATE.items() if own != key}


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (without("conv.bias"), "it lacks conv.bias"),
        (without("norm.running_var"), "it lacks norm.running_var"),
        (STATE | {"fc.weight": torch.rand(2)}, "it has keys that are not its own: fc.weight"),
        (
            STATE | {f"layer{n}.weight": torch.rand(1) for n in range(5)},
            "it has keys that are not its own: layer0.weight, layer1.weight, layer2.weight and 2 more",
        ),
        (
            STATE | {"conv.weight": torch.rand(400, 1, 3, 3)},
            "it has other shapes: conv.weight (400, 1, 3, 3) instead of (400, 3, 3, 3)",
        ),
        # A network that does not pass its input through the file's own convolution must not drop it.
        (
            STATE | {"preprocess.weight": torch.rand(3, 3, 1, 1)},
            "it has keys that are not its own: preprocess.weight",
        ),
    ],
)
def test_another_architectures_file_is_refused_with_its_keys(state, complaint):
    with pytest.raises(WeightsError) as error:
        filled(state)
    assert str(error.value) == f"stem.safetensors is not a stem: {complaint}"


def test_the_own_convolution_of_a_file_is_its_preprocessing():
    own = {"preprocess.weight": torch.rand(3, 3, 1, 1), "preprocess.bias": torch.rand(3)}
    assert not any("preprocess" in key for key in filled(STATE | own, "inner").state_dict())
    found = preprocessing_of(weights(STATE | own, "inner"))
    assert_close(found.matrix, own["preprocess.weight"][..., 0, 0])
    assert_close(found.offset, own["preprocess.bias"])


def test_each_convention_has_its_preprocessing():
    for given, expected in (
        (None, Preprocessing.torchvision()),
        (weights({}), Preprocessing.torchvision()),
        (weights({}, "caffe"), Preprocessing.caffe()),
    ):
        assert_close(preprocessing_of(given).matrix, expected.matrix)
        assert_close(preprocessing_of(given).offset, expected.offset)


def test_random_weights_are_he_by_fan_out_with_normalisations_that_change_nothing():
    network = filled(None)
    kernels = network.conv.weight
    # 400 output channels of 3x3 kernels; 10,800 numbers hold the deviation to a few per cent.
    assert_close(float(kernels.std()), (2 / (400 * 9)) ** 0.5, rtol=0.03, atol=0)
    assert abs(float(kernels.mean())) < 0.001
    assert not network.conv.bias.any()
    features = network.conv(torch.rand(1, 3, 4, 4))
    assert_close(network.norm(features), features, rtol=1e-4, atol=1e-6)


def test_random_weights_hang_on_their_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = filled(None, seed=5).conv.weight
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(filled(None, seed=5).conv.weight, first)
    assert not torch.equal(filled(None, seed=6).conv.weight, first)


def test_the_first_key_tells_another_architecture():
    check_first_key(weights(STATE), "conv.weight", "stem")
    message = (
        r"^stem\.safetensors is not a vgg19: it lacks features\.0\.weight; "
        r"it has conv\.weight, conv\.bias, norm\.weight and 3 more$"
    )
    with pytest.raises(WeightsError, match=message):
        check_first_key(weights(STATE), "features.0.weight", "vgg19")
    with pytest.raises(WeightsError, match=r"it has no tensors$"):
        check_first_key(weights({}), "features.0.weight", "vgg19")


def test_the_source_is_the_file_or_chance():
    assert source_of(weights(STATE)) == "stem.safetensors"
    assert source_of(None) == "random weights"
