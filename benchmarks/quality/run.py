"""Stylizes the pairs of a set, judges each with networks that took no part, and prints a table.

    python benchmarks/quality/run.py --data DIR --set tuning -o OUT

A pair whose result was made with the same settings and weights is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tomllib
from pathlib import Path
from typing import Any

from velatura.backbones import BackboneConfig
from velatura.core.config import to_mapping
from velatura.core.errors import VelaturaError
from velatura.core.files import atomic_path, sha256_file
from velatura.imaging import read_picture, write_picture
from velatura.jobs.judging import Evaluation, Evaluator, evaluation
from velatura.jobs.schema import parse_assignment
from velatura.jobs.stylize import Stylization, stylization, stylize_pictures
from velatura.weights import resolve

HERE = Path(__file__).parent
ARROWS = {"lower": "↓", "higher": "↑", "one": "→1"}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and weights/")
    parser.add_argument("--set", dest="pairs", choices=("tuning", "test"), required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for pictures and results")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--recipe", choices=("findings",), help="settings of a TOML file beside this one")
    parser.add_argument("--change", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", help="steps at each scale, such as 100,50,40,30,25")
    parser.add_argument("--size", type=int, help="longer edge of the results; the preset's where not given")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pair", action="append", help="only this pair of the set; may be repeated")
    parser.add_argument("--again", action="store_true", help="do every pair again")
    return parser.parse_args()


def how_to_stylize(given: argparse.Namespace) -> Stylization:
    """The preset, the recipe over it, the changes over that."""
    changes: dict[str, Any] = {}
    if given.recipe is not None:
        text = (HERE / f"{given.recipe}.toml").read_text(encoding="utf-8")
        changes.update(tomllib.loads(text.replace("{data}", given.data.resolve().as_posix())))
    changes.update(parse_assignment(text) for text in given.change)
    if given.steps is not None:
        changes["pyramid.steps"] = [int(steps) for steps in given.steps.split(",")]
    return stylization(
        given.preset,
        changes=changes,
        size=given.size,
        strength=given.strength,
        seed=given.seed,
        threads=given.threads,
        precision=given.precision,
    )


def how_to_judge(data: Path) -> Evaluation:
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


def picture_of(data: Path, kind: str, name: str) -> Path:
    found = [path for path in (data / "images" / kind).iterdir() if path.stem == name]
    if len(found) != 1:
        raise VelaturaError(f"expected one picture {name}.* in {data / 'images' / kind}, found {len(found)}")
    return found[0]


def weights_of(how: Stylization) -> str | None:
    """Hash of what the network will be loaded with: it may be trained anew under the same name."""
    config = how.method.backbone
    if config.weights == "random":
        return None
    return sha256_file(resolve(config.name if config.weights == "native" else config.weights))


def kept(path: Path, job: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same job left; empty where there is none."""
    if not path.with_suffix(".png").is_file() or not path.is_file():
        return {}
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result if result["job"] == job else {}


def result_of(pair: str, given: argparse.Namespace, how: Stylization, judge: Evaluator) -> dict[str, Any]:
    """Stylizes and judges one pair, each only if it was not done before."""
    path = given.output / f"{pair}.json"
    content, style = (
        picture_of(given.data, kind, name)
        for kind, name in zip(("content", "style"), pair.split("+"), strict=True)
    )
    # As JSON would give it back.
    job = json.loads(json.dumps({"stylization": to_mapping(how), "weights": weights_of(how)}))
    judged_by = json.loads(json.dumps(to_mapping(judge.how)))
    result = {} if given.again else kept(path, job)
    photo, painting = read_picture(content), read_picture(style)
    if not result:
        began = time.perf_counter()
        made = stylize_pictures(photo, [painting], how)
        result = {"pair": pair, "job": job, "seconds": time.perf_counter() - began, "judge": None}
        write_picture(made.picture, path.with_suffix(".png"))
    if result["judge"] != judged_by:
        # The picture that was written is judged, as anybody else would have it.
        values = judge(read_picture(path.with_suffix(".png")), photo, painting)
        result |= {"judge": judged_by, "values": values}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def table(results: list[dict[str, Any]], judge: Evaluator) -> str:
    """Markdown: a row a pair, then the means."""
    metrics = {name: judged.metric for name, judged in judge.how.metrics.items()}
    header = ["pair", *(f"{name} {ARROWS[metric.direction]}" for name, metric in metrics.items()), "seconds"]
    rows = [[result["pair"], *numbers(result, list(metrics))] for result in results]
    means = [statistics.fmean(row[column] for row in rows) for column in range(1, len(header))]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *map(texts, [*rows, ["mean", *means]])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def numbers(result: dict[str, Any], names: list[str]) -> list[float]:
    return [*(result["values"][name] for name in names), result["seconds"]]


def texts(row: list[Any]) -> list[str]:
    return [row[0], *(f"{value:.3f}" for value in row[1:-1]), f"{row[-1]:.1f}"]


def main() -> None:
    given = options()
    pairs = tomllib.loads((HERE / "pairs.toml").read_text(encoding="utf-8"))[given.pairs]
    unknown = set(given.pair or ()) - set(pairs)
    if unknown:
        raise SystemExit(f"not in the {given.pairs} set: {', '.join(sorted(unknown))}")
    given.output.mkdir(parents=True, exist_ok=True)
    how, judge = how_to_stylize(given), Evaluator(how_to_judge(given.data))
    results = []
    for pair in given.pair or pairs:
        results.append(result_of(pair, given, how, judge))
        values = ", ".join(f"{name} {value:.3f}" for name, value in results[-1]["values"].items())
        print(f"{pair}: {values}, {results[-1]['seconds']:.1f} s", flush=True)
    text = table(results, judge)
    (given.output / f"{given.pairs}.md").write_text(text + "\n", encoding="utf-8")
    (given.output / f"{given.pairs}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    try:
        main()
    except VelaturaError as error:
        raise SystemExit(f"run.py: {error}") from None
