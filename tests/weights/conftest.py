"""State dicts as torchvision publishes them, a web server that can misbehave, and a clean home."""

import hashlib
import http.server
import re
import threading
from collections import OrderedDict

import pytest
import torch
from torch import nn

from velatura.weights.catalogue import CatalogueEntry

VGG_PLANS = {
    "vgg11": "1p1p11p11p11p",
    "vgg13": "11p11p11p11p11p",
    "vgg16": "11p11p111p111p111p",
    "vgg19": "11p11p1111p1111p1111p",
}


@pytest.fixture(autouse=True)
def clean_home(tmp_path, monkeypatch):
    """No test sees, or writes to, the caches of whoever runs it."""
    for variable in ("VELATURA_WEIGHTS", "VELATURA_MIRROR", "VELATURA_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VELATURA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("velatura.weights.remote.BACKOFF_S", 0.001)


def vgg(name, *, batch_norm=False, width=2):
    """A VGG network as torchvision builds it, of a few channels, with random weights."""
    layers, channels = [], 3
    for mark in VGG_PLANS[name]:
        if mark == "p":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers.append(nn.ReLU())
        channels = width
    return nn.ModuleDict({"features": nn.Sequential(*layers), "classifier": nn.Sequential(nn.Linear(4, 4))})


class Block(nn.Module):
    """A residual block with torchvision's attribute names."""

    def __init__(self, before, width, *, bottleneck, shrinks):
        super().__init__()
        after = 4 * width if bottleneck else width
        sizes = [(before, width, 1), (width, width, 3), (width, after, 1)]
        sizes = sizes if bottleneck else [(before, width, 3), (width, width, 3)]
        for number, (incoming, outgoing, edge) in enumerate(sizes, start=1):
            setattr(self, f"conv{number}", nn.Conv2d(incoming, outgoing, edge, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(outgoing))
        if shrinks or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))


def resnet(blocks, *, bottleneck, width=2):
    """A ResNet as torchvision builds it, of a few channels, with random weights."""
    network = nn.ModuleDict({"conv1": nn.Conv2d(3, width, 7, bias=False), "bn1": nn.BatchNorm2d(width)})
    before = width
    for stage, count in enumerate(blocks):
        after = width * 2**stage
        layer = nn.Sequential()
        for index in range(count):
            shrinks = stage > 0 and index == 0
            layer.append(Block(before, after, bottleneck=bottleneck, shrinks=shrinks))
            before = after * (4 if bottleneck else 1)
        network[f"layer{stage + 1}"] = layer
    network["fc"] = nn.Linear(before, 4)
    return network


def squeezenet():
    """SqueezeNet 1.1 as torchvision builds it, of a few channels."""

    def fire(channels):
        convs = {"squeeze": nn.Conv2d(channels, 2, 1)}
        return nn.ModuleDict(convs | {"expand1x1": nn.Conv2d(2, 3, 1), "expand3x3": nn.Conv2d(2, 3, 3)})

    features = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3), fire(4), fire(6), nn.MaxPool2d(3)
    )
    for module in (fire(6), fire(6), nn.MaxPool2d(3), fire(6), fire(6), fire(6), fire(6)):
        features.append(module)
    return nn.ModuleDict(
        {"features": features, "classifier": nn.Sequential(nn.Dropout(), nn.Conv2d(6, 4, 1))}
    )


def published(name):
    """The state dict that torchvision publishes under this name, of a few channels."""
    torch.manual_seed(len(name))
    if name.startswith("vgg"):
        return vgg(name.removesuffix("_bn"), batch_norm=name.endswith("_bn")).state_dict()
    if name == "squeezenet1_1":
        return squeezenet().state_dict()
    blocks = {"resnet18": (2, 2, 2, 2), "resnet101": (3, 4, 23, 3)}.get(name, (3, 4, 6, 3))
    return resnet(blocks, bottleneck=name in ("resnet50", "resnet101")).state_dict()


@pytest.fixture(name="published")
def published_fixture():
    return published


@pytest.fixture
def kept():
    """What Velatura keeps of a published state dict."""

    def keep(state):
        left_out = ("classifier.", "fc.")
        return {k: v for k, v in state.items() if not k.startswith(left_out) and "num_batches" not in k}

    return keep


@pytest.fixture
def save_torch(tmp_path):
    """Saves a state dict as PyTorch does, and gives the file with the catalogue entry of its kind."""

    def save(state, *, name="vgg11", server=None, path="", sha256=None, by_ranges=""):
        file = tmp_path / "saved.pth"
        torch.save(OrderedDict(state), file)
        content = file.read_bytes()
        digest = sha256 or hashlib.sha256(content).hexdigest()
        published_name = f"{name}-{digest[:8]}.pth"
        url = ""
        if server is not None:
            url = server.put(path or published_name, content)
        return CatalogueEntry(
            name=name,
            architecture=name,
            licence="BSD-3-Clause",
            preprocessing="torchvision",
            padding="zeros",
            pooling="max",
            files={published_name: digest[:8]},
            url=url,
            safetensors_url=by_ranges,
            file_mib=len(content) / 2**20,
            kept_mib=len(content) / 2**20,
        )

    return save


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` from memory, with ranges or without, and breaks off as it is told.

    Args:
        ranges: Whether it honours ``Range``.
        cuts: For each of the next answers, how many bytes of its body come before the connection ends.
        refusals: Statuses to answer to the next requests.
        etags: Whether it sends one.
        weak: Whether its ETag is a weak one.
        asked: Path and range of each request so far.
        conditions: The ``If-Range`` of each request so far.
        pause_s: Waits so long before each answer.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.ranges = True
        self.etags = True
        self.weak = False
        self.cuts = []
        self.refusals = []
        self.asked = []
        self.conditions = []
        self.pause_s = 0.0
        self.quiet = threading.Event()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, path, content):
        self.files[f"/{path}"] = content
        return f"{self.base}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, content = self.server, self.server.files.get(self.path)
        server.asked.append((self.path, self.headers["Range"]))
        server.conditions.append(self.headers["If-Range"])
        server.quiet.wait(server.pause_s)
        if server.refusals:
            return self.send_error(server.refusals.pop(0))
        if content is None:
            return self.send_error(404)
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        fresh = self.headers["If-Range"] in (None, etag)
        if match and server.ranges and fresh:
            start = int(match[1])
            stop = min(int(match[2]) + 1 if match[2] else len(content), len(content))
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            body = content[start:stop]
        else:
            self.send_response(200)
            body = content
        # Only answers with more than the first byte are cut: the first byte is how a client knocks.
        cut = server.cuts.pop(0) if server.cuts and len(body) > 1 else len(body)
        if server.etags:
            self.send_header("ETag", f"W/{etag}" if server.weak else etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.write(body[:cut])

    def write(self, body):
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.quiet.set()
        server.shutdown()
        thread.join()
