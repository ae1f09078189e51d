"""The command that makes a result again, and what it changes in its preset."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, VelaturaError
from velatura.jobs.coloring import color_mode, with_color_setting
from velatura.jobs.dream import Dreaming, dreaming
from velatura.jobs.reconstruct import reconstruction
from velatura.jobs.report.files import dig, settings_of
from velatura.jobs.report.looks import LookedAt, looked_at
from velatura.jobs.schema import parse_assignment
from velatura.jobs.stylization import Stylization, stylization
from velatura.jobs.train import training

__all__ = ["Again", "Change", "picture_again", "train_again"]

_ROUNDS = 6
_OF_PICTURE = ("size", "strength", "blend", "seed", "upsample", "smooth", "device", "precision", "threads")
_OF_SAVING = ("record", "history", "plot", "save_every", "save_pattern", "quality", "bits", "icc", "dpi")
_OF_TRAIN = ("steps", "batch", "precision", "seed")


@dataclass(frozen=True)
class Change:
    """A setting that is not the preset's: its dotted path, its value, and the preset's."""

    path: str
    value: Any
    preset: Any


@dataclass(frozen=True, kw_only=True)
class Again:
    """How to make a result again.

    Args:
        command: For a shell; None where the record does not suffice.
        changes: What differs from the preset.
        notes: What the command cannot do, a line each.
    """

    command: str | None
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def picture_again(record: Mapping[str, Any]) -> Again:
    """The command for a picture, tried: its settings are those of the record.

    Args:
        record: Of a run; of a picture in a grid the command is the grid's.
    """
    look = looked_at(record)
    how = _wanted(record, look)
    part = "dream" if "dream" in how else "method"
    preset = str(how.get("preset"))
    given = {name: how.get(name) for name in _OF_PICTURE if how.get(name) is not None}
    own = {name: how[name] for name in ("color",) if name in how}

    def built(changes: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        settings: dict[str, Any] = _plain(to_mapping(_settings(preset, look, changes, options)))
        return settings

    try:
        usual = built({})
        paths = _changes(how[part], lambda changes: built(changes, **given, **own)[part])
        is_whole = built(paths, **given, **own) == how
    except VelaturaError as error:
        return Again(command=None, notes=(_not_here(record, error),))
    colors = tuple(_color_changes(how["color"], usual["color"])) if own else ()
    options = tuple(
        Change(name, value, usual.get(name)) for name, value in given.items() if value != usual.get(name)
    )
    changes = (*_compared(paths, usual[part]), *options, *colors)
    job = dig(record, "job")
    if not isinstance(job, Mapping):
        note = "the record has no file names: the picture was made in Python, so no command can be given"
        return Again(command=None, changes=changes, notes=(note,))
    words = ["--preset", preset]
    words += [word for change in options for word in _option(change)]
    words += [word for change in colors for word in _color_option(change)]
    words += [word for path, value in paths.items() for word in ("--set", f"{path}={_toml(value)}")]
    notes = () if is_whole else (_not_whole(record),)
    return Again(command=_command(job, look, words), changes=changes, notes=notes)


def _wanted(record: Mapping[str, Any], look: LookedAt | None) -> dict[str, Any]:
    """The settings that the command must come to."""
    how: dict[str, Any] = _plain(settings_of(record))
    if look is not None and look.networks:
        # Its weights are its column's.
        how["dream" if "dream" in how else "method"]["backbone"]["weights"] = "native"
    if look is not None and look.kind == "deepdream":
        return how
    # A record of before there was smoothing is of a picture without.
    return {"smooth": False, **with_color_setting(how)}


def _settings(
    preset: str, look: LookedAt | None, changes: Mapping[str, Any], options: Mapping[str, Any]
) -> Stylization | Dreaming:
    if look is None:
        return stylization(preset, changes=changes, **options)
    if look.kind == "deepdream":
        return dreaming(look.layer, preset=preset, changes=changes, **options)
    return reconstruction(look.kind, look.layer, preset=preset, changes=changes, **options)


def _command(job: Mapping[str, Any], look: LookedAt | None, words: list[str]) -> str:
    """The words of a command, with those of its job before and behind them."""
    saving = dig(job, "saving")
    words = [*words, *_saving_options(saving if isinstance(saving, Mapping) else {})]
    words += [] if look is None else look.options
    verb = ["stylize"] if look is None else ["reconstruct", look.kind]
    names = [str(job.get("content" if look is None else "image")), *map(str, job.get("styles") or ())]
    # A name that begins with a dash would be taken for an option.
    if any(name.startswith("-") for name in names):
        words = ["-o", str(job.get("output")), *words, "--", *names]
    else:
        words = [*names, "-o", str(job.get("output")), *words]
    return shlex.join(["velatura", *verb, *words])


def train_again(record: Mapping[str, Any], network: str) -> Again:
    """The command for a training, tried likewise; the folders are not on record, and stand in capitals.

    Args:
        record: ``training`` of a model's record.
        network: The network's name, for a record without a preset.
    """
    wanted = _plain({**(dig(record, "training") or {}), "steps": record.get("steps")})
    name = str(record.get("preset") or network)

    def built(changes: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = _plain(to_mapping(training(name, changes=changes)[1]))
        return settings

    try:
        paths = _changes(wanted, built)
        is_whole = built(paths) == wanted
        changes = tuple(_compared(paths, built({})))
    except VelaturaError as error:
        return Again(command=None, notes=(_not_here(record, error),))
    words = ["velatura", "train", name, "--content", "PHOTOGRAPHS", "--styles", "PAINTINGS", "-o", "RUN"]
    notes = ["PHOTOGRAPHS and PAINTINGS stand for the files learnt from: only their names' hash is on record"]
    if start := record.get("start"):
        # The model to start from brings its network's settings.
        paths = {path: value for path, value in paths.items() if not path.startswith("network")}
        words += ["--from", "MODEL"]
        notes.append(f"MODEL stands for the model of SHA-256 {start}")
    words += [word for change in changes if change.path in _OF_TRAIN for word in _option(change)]
    rest = {path: value for path, value in paths.items() if path not in _OF_TRAIN}
    words += [word for path, value in rest.items() for word in ("--set", f"{path}={_toml(value)}")]
    notes += [] if is_whole else [_not_whole(record)]
    return Again(command=shlex.join(words), changes=changes, notes=tuple(notes))


def _not_here(record: Mapping[str, Any], error: VelaturaError) -> str:
    return (
        f"this version cannot take these settings ({error}); they are of Velatura "
        f"{dig(record, 'versions', 'velatura')}"
    )


def _not_whole(record: Mapping[str, Any]) -> str:
    return (
        "with this version the command comes to other settings than the record's, which are of Velatura "
        f"{dig(record, 'versions', 'velatura')}"
    )


def _plain(value: Any) -> Any:
    """As JSON gives it back: no tuples."""
    return json.loads(json.dumps(value))


def _changes(
    wanted: Mapping[str, Any], built: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    """The fewest values to set at dotted paths that make the settings the wanted ones, if any do.

    A part's name is set before its settings: it brings defaults of its own.
    """
    changes: dict[str, Any] = {}
    replacing = False
    for _ in range(_ROUNDS):
        now = built(changes)
        if now == wanted:
            break
        differing = dict(_differences(now, wanted, "", replacing=replacing))
        # What a table has too much goes only with the table, such as layers.
        replacing = replacing or not differing
        names = {path: value for path, value in differing.items() if path.endswith(".name")}
        for path, value in (names or differing).items():
            changes = {at: old for at, old in changes.items() if not at.startswith(f"{path}.")}
            changes[path] = value
    return changes


def _differences(now: Any, wanted: Any, path: str, *, replacing: bool) -> Iterator[tuple[str, Any]]:
    if not isinstance(now, Mapping) or not isinstance(wanted, Mapping):
        if now != wanted:
            yield path, wanted
    elif path and now.get("name") != wanted.get("name"):
        yield f"{path}.name", wanted.get("name")
    elif path and replacing and now.keys() != wanted.keys():
        yield path, wanted
    else:
        for key in wanted:
            below = f"{path}.{key}" if path else key
            yield from _differences(now.get(key), wanted[key], below, replacing=replacing)


def _compared(paths: Mapping[str, Any], preset: Mapping[str, Any]) -> Iterator[Change]:
    for path, value in paths.items():
        yield Change(path, value, dig(preset, *path.split(".")))


def _color_changes(color: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[Change]:
    """The colour mode's name, and its settings that are not its own defaults."""
    if color["name"] != usual["name"]:
        yield Change("color.name", color["name"], usual["name"])
    defaults = _plain(to_mapping(color_mode(color["name"])))
    for name, value in color.items():
        if value != defaults.get(name):
            yield Change(f"color.{name}", value, defaults.get(name))


def _color_option(change: Change) -> list[str]:
    options = {"color.name": "--color", "color.palette": "--palette"}
    if change.path in options:
        return [options[change.path], str(change.value)]
    return ["--set", f"{change.path}={_toml(change.value)}"]


def _option(change: Change) -> list[str]:
    option = f"--{change.path.replace('_', '-')}"
    if change.value is True:
        return [option]
    value = change.value
    text = ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
    return [option, str(text)]


def _saving_options(saving: Mapping[str, Any]) -> Iterator[str]:
    usual = {"bits": 8, "icc": "srgb"}
    for name in _OF_SAVING:
        if saving.get(name) is not None and saving[name] != usual.get(name):
            yield from _option(Change(name, saving[name], None))


def _toml(value: Any) -> str:
    """A value as ``--set`` takes it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return value if _is_read_back(value) else json.dumps(value)
        case Mapping():
            return f"{{{', '.join(f'{_key(key)} = {_inside(item)}' for key, item in value.items())}}}"
        case Sequence():
            return f"[{', '.join(map(_inside, value))}]"
    # TOML has no word for nothing; the caller sees that the settings come out otherwise.
    return ""


def _inside(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else _toml(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _is_read_back(text: str) -> bool:
    try:
        return parse_assignment(f"key={text}") == ("key", text)
    except ConfigError:
        return False
