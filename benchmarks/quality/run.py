"""Stylizes the pairs of a set, judges each with networks that took no part, and prints a table.

    python benchmarks/quality/run.py --data DIR --set tuning -o OUT

A pair whose result was made with the same settings and weights is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from pathlib import Path
from typing import Any

from judging import ARROWS, HERE, judging_networks, markdown, pairs_of, pictures_of, result_of

from velatura.core.errors import VelaturaError
from velatura.jobs.judging import Evaluator
from velatura.jobs.schema import parse_assignment
from velatura.jobs.stylize import Stylization, stylization


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


def table(results: list[dict[str, Any]], judge: Evaluator) -> str:
    """Markdown: a row a pair, then the means."""
    metrics = {name: judged.metric for name, judged in judge.how.metrics.items()}
    header = ["pair", *(f"{name} {ARROWS[metric.direction]}" for name, metric in metrics.items()), "seconds"]
    rows = [[result["pair"], *numbers(result, list(metrics))] for result in results]
    means = [statistics.fmean(row[column] for row in rows) for column in range(1, len(header))]
    return markdown(header, [texts(row) for row in (*rows, ["mean", *means])])


def numbers(result: dict[str, Any], names: list[str]) -> list[float]:
    return [*(result["values"][name] for name in names), result["seconds"]]


def texts(row: list[Any]) -> list[str]:
    return [row[0], *(f"{value:.3f}" for value in row[1:-1]), f"{row[-1]:.1f}"]


def main() -> None:
    given = options()
    pairs = pairs_of(given.pairs)
    unknown = set(given.pair or ()) - set(pairs)
    if unknown:
        raise SystemExit(f"not in the {given.pairs} set: {', '.join(sorted(unknown))}")
    given.output.mkdir(parents=True, exist_ok=True)
    how, judge = how_to_stylize(given), Evaluator(judging_networks(given.data))
    results = []
    for pair in given.pair or pairs:
        pictures = pictures_of(given.data, pair)
        results.append(result_of(pair, pictures, how, judge, folder=given.output, again=given.again))
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
