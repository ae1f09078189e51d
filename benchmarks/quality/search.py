"""Stylizes pairs of the tuning set by every variant of the default recipe, and prints a row for each.

    python benchmarks/quality/search.py --data DIR -o OUT --pairs 4

A picture whose result was made with the same settings and weights is not done again.
"""

from __future__ import annotations

import argparse
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from judging import ARROWS, HERE, judging_networks, markdown, pairs_of, pictures_of, result_of

from velatura.core.errors import ConfigError, VelaturaError, unknown_name
from velatura.imaging import Picture
from velatura.jobs.judging import Evaluator
from velatura.jobs.stylize import Stylization, stylization
from velatura.presets import load_preset

PRESET = "fast"
KEYS = ("why", "over", "change", "times")
AVERAGED = ("style-gram", "style-moments", "cfsd")

Pairs = Mapping[str, tuple[Picture, Picture]]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is done otherwise than in the preset, and what is asked by it."""

    why: str
    changes: Mapping[str, Any]


def read_variants(path: Path = HERE / "search.toml") -> dict[str, Variant]:
    """Every variant by name.

    Raises:
        ConfigError: A table has an unknown key, gives no reason, is over a variant that does not stand
            before it, or multiplies what is no number in the preset.
    """
    found: dict[str, Variant] = {}
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
        for key in sorted(set(table) - set(KEYS)):
            raise unknown_name(f"key of the variant {name}:", key, KEYS)
        if not table.get("why"):
            raise ConfigError(f"the variant {name!r} gives no reason; set its why")
        over = table.get("over")
        if over is not None and over not in found:
            raise unknown_name(f"variant before {name}:", over, found)
        below = {} if over is None else found[over].changes
        scaled = {path: times_preset(path, factor) for path, factor in table.get("times", {}).items()}
        changes = laid_over(below, {**table.get("change", {}), **scaled})
        found[name] = Variant(why=table["why"], changes=changes)
    return found


def times_preset(path: str, factor: float) -> float | list[int]:
    """A number of the preset, or its list of counts, times a factor."""
    value: Any = load_preset(PRESET).method
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, int | float):
        return factor * value
    if isinstance(value, list):
        return [round(factor * count) for count in value]
    raise ConfigError(f"times: the preset has no number at {path!r}; set it by change")


def laid_over(below: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Both, without what in ``below`` is inside a value that ``changes`` replaces."""
    replaced = tuple(f"{path}." for path in changes)
    return {path: value for path, value in below.items() if not path.startswith(replaced)} | dict(changes)


def chosen_pairs(words: Sequence[str]) -> list[str]:
    """The first N of the tuning set, or those that are named.

    Raises:
        ConfigError: Another number than there are, or a pair that is not in the set.
    """
    tuning = pairs_of("tuning")
    if len(words) == 1 and words[0].isdecimal():
        if not 1 <= int(words[0]) <= len(tuning):
            raise ConfigError(f"expected 1 to {len(tuning)} pairs, not {words[0]}")
        return tuning[: int(words[0])]
    for word in words:
        if word not in tuning:
            raise unknown_name("tuning pair", word, tuning)
    return list(dict.fromkeys(words)) or tuning


def chosen_variants(names: Sequence[str]) -> dict[str, Variant]:
    """Those that are named, or all.

    Raises:
        ConfigError: There is none of that name.
    """
    known = read_variants()
    for name in names:
        if name not in known:
            raise unknown_name("variant", name, known)
    return {name: variant for name, variant in known.items() if name in names or not names}


def how_to_stylize(variant: Variant, *, size: int, threads: int) -> Stylization:
    """The preset with the changes of the variant, the style as a whole weighing as much as there."""
    how = stylization(PRESET, changes=variant.changes, size=size, threads=threads)
    style, reference = (each.method.terms["style"] for each in (how, stylization(PRESET)))
    weight = style.weight * sum(reference.layers.values()) / sum(style.layers.values())
    terms = {**how.method.terms, "style": replace(style, weight=weight)}
    return replace(how, method=replace(how.method, terms=terms))


def header(judge: Evaluator) -> list[str]:
    arrows = {name: ARROWS[judged.metric.direction] for name, judged in judge.how.metrics.items()}
    means = [f"{name} {arrows[name]}" for name in AVERAGED]
    noise = [f"{which} high-frequency {arrows['high-frequency']}" for which in ("smallest", "largest")]
    return ["variant", *means, *noise, "processor seconds"]


def row(name: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Means over the pairs, and the extremes of what must hold on each."""
    values = [result["values"] for result in results]
    means = [statistics.fmean(one[metric] for one in values) for metric in AVERAGED]
    noise = [one["high-frequency"] for one in values]
    seconds = statistics.fmean(result["processor_seconds"] for result in results)
    return [name, *(f"{value:.3f}" for value in (*means, min(noise), max(noise))), f"{seconds:.1f}"]


def failed_row(name: str, error: Exception, columns: int) -> list[str]:
    """What went wrong, in one cell."""
    message = " ".join(str(error).split()).replace("|", r"\|")
    return [name, f"failed: {message}", *[""] * (columns - 2)]


def results_of(
    name: str, variant: Variant, pairs: Pairs, judge: Evaluator, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """One result a pair, in a folder of the variant's name."""
    how = how_to_stylize(variant, size=given.size, threads=given.threads)
    folder = given.output / name
    folder.mkdir(parents=True, exist_ok=True)
    return [
        result_of(pair, pictures, how, judge, folder=folder, again=given.again)
        for pair, pictures in pairs.items()
    ]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and weights/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for pictures and results")
    parser.add_argument("--size", type=int, default=256, help="longer edge of the results (256)")
    parser.add_argument("--pairs", nargs="+", default=[], help="first N of the tuning set, or names (all)")
    parser.add_argument("--variant", nargs="+", action="extend", default=[], help="only these of search.toml")
    parser.add_argument(
        "--threads", type=int, default=1, help="processor threads; those that wait may count too (1)"
    )
    parser.add_argument("--again", action="store_true", help="do every picture again")
    return parser.parse_args()


def main() -> None:
    given = options()
    variants = chosen_variants(given.variant)
    # Read before all else: what is missing fails every variant.
    pairs = {pair: pictures_of(given.data, pair) for pair in chosen_pairs(given.pairs)}
    judge = Evaluator(judging_networks(given.data))
    columns, rows, failed = header(judge), [], []
    for name, variant in variants.items():
        try:
            rows.append(row(name, results_of(name, variant, pairs, judge, given)))
        # Torch's own are RuntimeErrors, such as a decomposition that does not converge.
        except (VelaturaError, RuntimeError) as error:
            failed.append(name)
            rows.append(failed_row(name, error, len(columns)))
        print(f"{name}: {', '.join(filter(None, rows[-1][1:]))}", flush=True)
    text = markdown(columns, rows)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "search.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}")
    if failed:
        raise SystemExit(f"search.py: {len(failed)} of {len(variants)} variants failed: {', '.join(failed)}")


if __name__ == "__main__":
    try:
        main()
    except VelaturaError as error:
        raise SystemExit(f"search.py: {error}") from None
