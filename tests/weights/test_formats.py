import pytest

from velatura.core.errors import WeightsError
from velatura.weights.architecture import describe
from velatura.weights.formats import place

OFFICIAL = [
    *("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "squeezenet1_1"),
]
VGG19_CONVS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def shapes_of(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def vgg_shapes(convs, width=2):
    shapes, before = {}, 3
    for name in convs:
        shapes |= {f"{name}.weight": (width, before, 3, 3), f"{name}.bias": (width,)}
        before = width
    return shapes


@pytest.mark.parametrize("name", OFFICIAL)
def test_published_state_dicts_keep_their_keys_and_lose_their_classifier(published, kept, name):
    state = published(name)
    placement = place(shapes_of(state))
    assert placement.keys == {key: key for key in kept(state)}
    assert not placement.inner
    assert placement.padding == "zeros"


@pytest.mark.parametrize("name", OFFICIAL)
def test_published_state_dicts_are_told_apart_and_complete(published, kept, name):
    architecture = describe(shapes_of(kept(published(name))))
    assert architecture.names == (name,)
    assert architecture.complete


@pytest.mark.parametrize(
    ("name", "deepest"),
    [
        ("vgg11", "relu5_2"),
        ("vgg16_bn", "relu5_3"),
        ("vgg19", "relu5_4"),
        ("resnet50", "layer4"),
        ("squeezenet1_1", "fire9"),
    ],
)
def test_the_deepest_layer_has_the_papers_name(published, kept, name, deepest):
    assert describe(shapes_of(kept(published(name)))).deepest == deepest


@pytest.mark.parametrize(
    ("num_convs", "names", "deepest"),
    [
        (1, ("vgg11", "vgg13", "vgg16", "vgg19"), "relu1_1"),
        (2, ("vgg13", "vgg16", "vgg19"), "relu1_2"),
        (7, ("vgg16", "vgg19"), "relu3_3"),
        (8, ("vgg19",), "relu3_4"),
        (16, ("vgg19",), "relu5_4"),
    ],
)
def test_a_vgg_file_that_stops_early_may_begin_several_networks(num_convs, names, deepest):
    shapes = vgg_shapes(f"features.{index}" for index in VGG19_CONVS[:num_convs])
    architecture = describe(shapes)
    assert architecture.names == names
    assert architecture.deepest == deepest
    assert architecture.widths == (2,) * num_convs
    assert architecture.complete == (num_convs == 16)


def test_a_resnet_that_stops_early_may_begin_several_networks(published, kept):
    shapes = shapes_of(kept(published("resnet50")))
    begin = {key: shape for key, shape in shapes.items() if not key.startswith(("layer3", "layer4"))}
    architecture = describe(begin)
    assert architecture.names == ("resnet50", "resnet101")
    assert architecture.deepest == "layer2"
    assert not architecture.complete
    stem = {key: shape for key, shape in begin.items() if key.startswith(("conv1", "bn1"))}
    assert describe(stem).deepest == "conv1"


def test_layer_names_become_the_numbers_of_vgg19():
    convs = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
    shapes = vgg_shapes(convs) | {"preprocess.weight": (3, 3, 1, 1), "preprocess.bias": (3,)}
    placement = place(shapes)
    expected = {
        f"{conv}.weight": f"features.{index}.weight" for conv, index in zip(convs, VGG19_CONVS, strict=False)
    }
    weights = {name: key for name, key in placement.keys.items() if name in expected}
    assert weights == expected
    assert placement.keys["preprocess.bias"] == "preprocess.bias"
    assert placement.inner
    assert placement.padding == "reflect"


def test_layer_names_of_vgg16_become_its_own_numbers():
    convs = [
        f"conv{block}_{conv}"
        for block, count in enumerate((2, 2, 3, 3, 3), 1)
        for conv in range(1, count + 1)
    ]
    placement = place(vgg_shapes(convs))
    assert placement.keys["conv4_1.weight"] == "features.17.weight"
    assert placement.keys["conv5_3.bias"] == "features.28.bias"
    assert not placement.inner
    assert placement.padding == "zeros"


def test_the_collaboratively_distilled_names_with_their_heads():
    shapes = vgg_shapes(["conv11", "conv12", "conv21"])
    shapes |= {"conv0.weight": (3, 3, 1, 1), "conv0.bias": (3,)}
    shapes |= {"conv11_aux.weight": (64, 2, 1, 1), "conv11_aux.bias": (64,)}
    placement = place(shapes)
    assert placement.keys["conv21.weight"] == "features.5.weight"
    assert placement.keys["conv0.weight"] == "preprocess.weight"
    assert placement.heads == {"relu1_1": ("conv11_aux.weight", "conv11_aux.bias")}


def test_torchs_sequence_of_the_normalised_vgg():
    # 1x1 convolution, then (pad, conv, relu) with a pooling after each block: AdaIN's encoder.
    numbers = (2, 5, 9, 12, 16, 19, 22, 25, 29)
    shapes = vgg_shapes(map(str, numbers)) | {"0.weight": (3, 3, 1, 1), "0.bias": (3,)}
    placement = place(shapes)
    assert placement.keys["0.weight"] == "preprocess.weight"
    assert placement.keys["29.weight"] == "features.19.weight"  # conv4_1
    assert placement.padding == "reflect"


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "module.model.", "backbone.", "_orig_mod.", "model.module.", "net.encoder."],
)
def test_prefixes_of_training_scripts_are_taken_off(published, kept, prefix):
    state = published("resnet18")
    placement = place({prefix + name: shape for name, shape in shapes_of(state).items()})
    assert placement.keys == {prefix + name: name for name in kept(state)}
    assert "".join(placement.prefixes) == prefix
    assert placement.style == "torchvision"


def test_a_robust_network_is_taken_from_beside_its_attacker(published, kept):
    state = published("resnet18")
    shapes = {
        f"module.{who}.{name}": shape
        for who in ("model", "attacker.model")
        for name, shape in shapes_of(state).items()
    }
    shapes |= {
        f"module.{who}.new_{what}": (3, 1, 1)
        for who in ("normalizer", "attacker.normalize")
        for what in ("mean", "std")
    }
    placement = place(shapes)
    assert placement.keys == {f"module.model.{name}": name for name in kept(state)}
    assert placement.style == "robustness"
    assert placement.prefixes == ("module.", "model.")
    assert placement.normaliser == ("module.normalizer.new_mean", "module.normalizer.new_std")
    assert not placement.inner
    copied = {name for name in shapes if name.startswith("module.attacker.")}
    assert set(placement.left_out["the attacker's copy of the network"]) == copied
    assert set(placement.left_out["classifier"]) == {"module.model.fc.weight", "module.model.fc.bias"}
    counters = {name for name in shapes if name.startswith("module.model.") and "num_batches" in name}
    assert set(placement.left_out["counters of the normalisations"]) == counters


def test_a_wrapped_architecture_of_the_robustness_library_has_a_prefix_more(published, kept):
    # Its models without a hook for latent features are wrapped once more: "module.model.model.features.0".
    state = published("vgg16_bn")
    shapes = {
        f"module.{who}.model.{name}": shape
        for who in ("model", "attacker.model")
        for name, shape in shapes_of(state).items()
    }
    placement = place(shapes)
    assert placement.keys == {f"module.model.model.{name}": name for name in kept(state)}
    assert placement.normaliser is None


def test_timms_head_is_a_classifier(published, kept):
    state = kept(published("vgg11"))
    head = {"pre_logits.fc1.weight": (4, 2, 7, 7), "pre_logits.fc1.bias": (4,), "head.fc.weight": (9, 4)}
    placement = place(shapes_of(state) | head)
    assert placement.keys == {name: name for name in state}
    assert placement.left_out == {"classifier": tuple(head)}
    assert placement.style == "timm"


def test_a_resnet_with_its_normalisation_folded_in_keeps_its_biases(published, kept):
    shapes = shapes_of(kept(published("resnet18")))
    folded = {key: shape for key, shape in shapes.items() if "bn" not in key and "downsample.1" not in key}
    folded |= {key.replace("weight", "bias"): shape[:1] for key, shape in folded.items()}
    placement = place(folded)
    assert placement.keys == {key: key for key in folded}
    assert describe(folded).names == ("resnet18",)


def test_tensors_without_a_place_are_named():
    shapes = vgg_shapes(["features.0"]) | {f"decoder.{index}.weight": (1,) for index in range(6)}
    complaint = r"tensors without a place in a torchvision file: 'decoder.0.weight', .* and 2 more"
    with pytest.raises(WeightsError, match=complaint):
        place(shapes)


def test_of_a_resnet_with_another_stem_the_stem_alone_is_named(published):
    # timm's resnet18d: three 3x3 convolutions in the place of the 7x7 one.
    shapes = shapes_of(published("resnet18"))
    del shapes["conv1.weight"]
    shapes |= {"conv1.0.weight": (2, 3, 3, 3), "conv1.3.weight": (2, 2, 3, 3)}
    complaint = "tensors without a place in a .* file: 'conv1.0.weight', 'conv1.3.weight'; known are"
    with pytest.raises(WeightsError, match=complaint):
        place(shapes)


@pytest.mark.parametrize("shapes", [{}, {"fc.weight": (4, 4)}])
def test_a_file_without_convolutions_is_refused(shapes):
    with pytest.raises(WeightsError, match="no tensors of a network that Velatura knows"):
        place(shapes)


BROKEN = {
    "a missing convolution": (
        vgg_shapes(["features.0", "features.5"]),
        "features 0, 5 are the beginning of no VGG",
    ),
    "a misfit": (
        vgg_shapes(["features.0"]) | vgg_shapes(["features.2"]),
        r"'features.2.weight' \(conv1_2\) has shape",
    ),
    "a 5x5 convolution": (
        {"features.0.weight": (2, 3, 5, 5), "features.0.bias": (2,)},
        r"expected \[2, 3, 3, 3\]",
    ),
    "a missing bias": ({"features.0.weight": (2, 3, 3, 3)}, "no tensor 'features.0.bias'"),
    "a wrong bias": (
        {"features.0.weight": (2, 3, 3, 3), "features.0.bias": (3,)},
        r"has shape \[3\]; expected \[2\]",
    ),
    "a scalar weight": ({"features.0.weight": (), "features.0.bias": ()}, r"has shape \[\]; expected"),
    "a missing norm": (
        vgg_shapes(["features.0", "features.3"]) | {"features.3.running_mean": (2,)},
        "beginning of no VGG",
    ),
    "a missing block": (
        {"conv1.weight": (2, 3, 7, 7), "layer1.1.conv1.weight": (2, 2, 3, 3)},
        "no tensors of block layer1.0, but of later ones",
    ),
    "a missing stage": (
        {"conv1.weight": (2, 3, 7, 7), "layer2.0.conv1.weight": (2, 2, 3, 3)},
        "no tensors of block layer1.0",
    ),
    "half a block": (
        {"conv1.weight": (2, 3, 7, 7), "layer1.0.conv1.weight": (2, 2, 3, 3)},
        "no tensor 'layer1.0.conv2.weight'",
    ),
    "a strange input convolution": (
        vgg_shapes(["features.0"]) | {"preprocess.weight": (3, 3, 3, 3)},
        "its input convolution has the shapes",
    ),
    "half a head": (
        vgg_shapes(["conv11"]) | {"conv11_aux.weight": (4, 2, 1, 1)},
        "the head of relu1_1 has no bias",
    ),
    "squeezenet 1.0": (
        {"features.0.weight": (2, 3, 7, 7)}
        | {f"features.{index}.squeeze.weight": (2, 2, 1, 1) for index in (3, 4, 5)},
        "no beginning of SqueezeNet 1.1",
    ),
}


@pytest.mark.parametrize(("shapes", "complaint"), BROKEN.values(), ids=BROKEN)
def test_a_broken_network_is_refused_by_the_tensor(shapes, complaint):
    with pytest.raises(WeightsError, match=complaint):
        place(shapes)


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        (
            # Wide ResNet-50-2: bottlenecks of twice the width with the outputs of ResNet-50.
            "resnet50",
            {f"layer1.0.{key}": (4, *rest) for key, rest in (("conv1.weight", (2, 1, 1)), ("bn1.weight", ()))}
            | {f"layer1.0.bn1.{part}": (4,) for part in ("bias", "running_mean", "running_var")}
            | {f"layer1.0.bn2.{part}": (4,) for part in ("weight", "bias", "running_mean", "running_var")}
            | {"layer1.0.conv2.weight": (4, 4, 3, 3), "layer1.0.conv3.weight": (8, 4, 1, 1)},
            r"'layer1.0.conv3.weight' \(block layer1.0\) has shape \[8, 4, 1, 1\]; expected \[16, 4, 1, 1\]",
        ),
        (
            # ResNeXt: its 3x3 convolutions are in groups.
            "resnet50",
            {"layer1.0.conv2.weight": (2, 1, 3, 3)},
            r"'layer1.0.conv2.weight' .* has shape \[2, 1, 3, 3\]; expected \[2, 2, 3, 3\]",
        ),
        (
            "resnet18",
            {"layer1.0.conv2.weight": (2, 1, 3, 3)},
            r"'layer1.0.conv2.weight' .* has shape \[2, 1, 3, 3\]; expected \[2, 2, 3, 3\]",
        ),
        ("resnet18", {"conv1.weight": (2, 1, 7, 7)}, r"'conv1.weight' \(stem\) .* expected \[2, 3, 7, 7\]"),
        ("resnet18", {"conv1.weight": ()}, r"'conv1.weight' \(stem\) has shape \[\]"),
        ("resnet18", {"layer2.1.conv1.weight": (2, 4, 3, 3)}, r"'layer2.1.conv1.weight' .* \[4, 4, 3, 3\]"),
        ("resnet18", {"layer3.0.bn1.running_var": (2,)}, r"'layer3.0.bn1.running_var' .* expected \[8\]"),
        ("resnet18", {"layer3.0.bn1.bias": None}, r"no tensor 'layer3.0.bn1.bias' \(block layer3.0\)"),
        ("resnet18", {"layer2.0.downsample.0.weight": None}, "no tensor 'layer2.0.downsample.0.weight'"),
        (
            "resnet18",
            {"layer1.0.downsample.0.weight": (2, 2, 1, 1)},
            "'layer1.0.downsample.0.weight' is no part of a ResNet with basic blocks",
        ),
        ("resnet18", {"layer2.0.conv3.weight": (4, 4, 1, 1)}, "'layer2.0.conv3.weight' is no part of"),
    ],
)
def test_a_resnet_whose_tensors_do_not_fit_is_refused_by_the_tensor(published, name, changes, complaint):
    shapes = shapes_of(published(name)) | changes
    with pytest.raises(WeightsError, match=complaint):
        place({key: shape for key, shape in shapes.items() if shape is not None})


def test_a_resnet_for_cifar_may_pad_its_shortcuts(published, kept):
    shapes = shapes_of(kept(published("resnet34"))) | {"conv1.weight": (2, 3, 3, 3)}
    padded = {key: shape for key, shape in shapes.items() if "downsample" not in key}
    assert describe(padded).names == ("resnet with 3-4-6-3 basic blocks",)
    assert not describe(padded).built
