"""A network as a graph: the same picture, or no file."""

import pytest
import torch

from velatura.core.errors import ConfigError, VelaturaError
from velatura.jobs import export
from velatura.jobs.export import export_onnx
from velatura.jobs.models import load_model

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")


@pytest.mark.timeout(900)  # Tracing takes 20 s on an idle core, and minutes beside others.
@pytest.mark.parametrize("name", ["johnson", "cin", "adain-slim"])
def test_a_graph_gives_the_same_picture_at_any_size(models, tmp_path, name):
    model = load_model(name)
    exported = export_onnx(model, tmp_path / "net.onnx")
    assert exported.largest_difference <= 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(exported.inputs)
    # A size that the command has not checked itself.
    content = torch.rand(1, 3, 118, 143)
    network, values, style = model.network, {"content": content.numpy()}, None
    if model.styles == "many":
        style = network.choose([0.2, 0.3, 0.5])
        values["style"] = style["weights"].numpy()
    elif model.styles == "any":
        painting = torch.rand(1, 3, 87, 64)
        style, values["style"] = network.encode(painting), painting.numpy()
    (picture,) = session.run(["stylization"], values)
    with torch.no_grad():
        expected = network(content, style).clamp(0, 1)
    assert picture.shape == (1, 3, 118, 143)
    assert abs(picture - expected.numpy()).max() <= 1e-4


class Wrong:
    """A graph that gives the photograph back."""

    def save(self, path):
        from onnx import TensorProto, helper, save

        shape = [1, 3, "h", "w"]
        ends = [
            helper.make_tensor_value_info(end, TensorProto.FLOAT, shape) for end in ("content", "picture")
        ]
        node = helper.make_node("Identity", ["content"], ["picture"])
        graph = helper.make_graph([node], "wrong", ends[:1], ends[1:])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def test_a_graph_that_is_not_the_network_is_not_written(models, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_traced", lambda pixels: Wrong())
    with pytest.raises(VelaturaError, match="the graph is not written: its picture differs"):
        export_onnx(load_model("johnson"), tmp_path / "net.onnx")
    assert list(tmp_path.glob("*.onnx")) == []


def test_what_cannot_be_exported(models, tmp_path, monkeypatch):
    model = load_model("johnson")
    with pytest.raises(ConfigError, match="alpha must be from 0 to 1, not 2"):
        export_onnx(model, tmp_path / "net.onnx", alpha=2)
    model.network.rng = torch.Generator()
    with pytest.raises(ConfigError, match="draws noise, which a graph cannot draw"):
        export_onnx(model, tmp_path / "net.onnx")
    monkeypatch.setattr(export, "_NEEDED", ("no_such_package",))
    with pytest.raises(ConfigError, match=r"needs the package no_such_package, .*velatura\[export\]"):
        export_onnx(model, tmp_path / "net.onnx")
