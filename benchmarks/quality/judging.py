"""Pairs of pictures, stylized and judged once: what the scripts of this folder share."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import Any

from velatura.backbones import BackboneConfig
from velatura.core.config import to_mapping
from velatura.core.errors import VelaturaError
from velatura.core.files import atomic_path, sha256_file
from velatura.engine.one_pass import OnePass
from velatura.imaging import Picture, read_picture, write_picture
from velatura.jobs.judging import Evaluation, Evaluator, evaluation
from velatura.jobs.models import find_model
from velatura.jobs.stylize import Stylization, stylize_pictures
from velatura.weights import resolve

HERE = Path(__file__).parent
ARROWS = {"lower": "↓", "higher": "↑", "one": "→1"}


def pairs_of(name: str) -> list[str]:
    """The pairs of the set ``tuning`` or ``test``, each ``photograph+painting``."""
    pairs: list[str] = tomllib.loads((HERE / "pairs.toml").read_text(encoding="utf-8"))[name]
    return pairs


def judging_networks(data: Path) -> Evaluation:
    """Style by ResNet-18, structure by VGG-19: neither is what the presets optimise with."""
    weights = data.resolve() / "weights"
    resnet = BackboneConfig(name="resnet18", weights=str(weights / "resnet18_bnfolded_to_layer3.safetensors"))
    vgg = BackboneConfig(name="vgg19", weights=str(weights / "vgg19_caffe_to_relu3_4.safetensors"))
    layers = ["conv1", "layer1", "layer2", "layer3"]
    return evaluation(
        ["style-gram", "style-moments", "cfsd", "high-frequency"],
        judge=resnet,
        judges={"cfsd": vgg},
        changes={"style-gram.layers": layers, "style-moments.layers": layers, "cfsd.layers": ["relu3_1"]},
    )


def pictures_of(data: Path, pair: str) -> tuple[Picture, Picture]:
    """The photograph and the painting of a pair.

    Raises:
        VelaturaError: One is not in ``images``, or cannot be read.
    """
    content, style = pair.split("+")
    return read_picture(_found(data, "content", content)), read_picture(_found(data, "style", style))


def _found(data: Path, kind: str, name: str) -> Path:
    folder = data / "images" / kind
    found = [path for path in folder.glob("*") if path.stem == name]
    if len(found) != 1:
        raise VelaturaError(f"expected one picture {name}.* in {folder}, found {len(found)}")
    return found[0]


def result_of(
    pair: str,
    pictures: tuple[Picture, Picture],
    how: Stylization,
    judge: Evaluator,
    *,
    folder: Path,
    again: bool = False,
) -> dict[str, Any]:
    """Stylizes and judges one pair, each only if it was not done before.

    Args:
        pair: Name of the files in ``folder``.
        pictures: Photograph and painting.
        how: Settings.
        judge: Judges the picture that was written, as anybody else would have it.
        folder: Where the picture and the result are kept.
        again: Stylize, whatever is kept.

    Returns:
        ``values`` by metric; ``seconds`` from the call to the picture in memory, and the
        ``processor_seconds`` of all threads in that time.
    """
    path = folder / f"{pair}.json"
    # As JSON would give it back.
    job = json.loads(json.dumps({"stylization": to_mapping(how), "weights": _weights_of(how)}))
    judged_by = json.loads(json.dumps(to_mapping(judge.how)))
    result = {} if again else _kept(path, job)
    if not result:
        began, began_work = time.perf_counter(), time.process_time()
        made = stylize_pictures(pictures[0], [pictures[1]], how)
        worked, lasted = time.process_time() - began_work, time.perf_counter() - began
        result = {"pair": pair, "job": job, "seconds": lasted, "processor_seconds": worked, "judge": None}
        # Whoever interrupts here must not find this picture beside an earlier result.
        path.unlink(missing_ok=True)
        write_picture(made.picture, path.with_suffix(".png"))
    if result["judge"] != judged_by:
        values = judge(read_picture(path.with_suffix(".png")), *pictures)
        result |= {"judge": judged_by, "values": values}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _weights_of(how: Stylization) -> str | None:
    """Hash of what the network will be loaded with: it may be trained anew under the same name."""
    if isinstance(how.method, OnePass):
        return sha256_file(find_model(how.method.model))
    config = how.method.backbone
    if config.weights == "random":
        return None
    return sha256_file(resolve(config.name if config.weights == "native" else config.weights))


def _kept(path: Path, job: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same job left; empty where there is none."""
    if not path.with_suffix(".png").is_file() or not path.is_file():
        return {}
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result if result["job"] == job else {}


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
