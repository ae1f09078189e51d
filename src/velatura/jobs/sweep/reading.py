"""A YAML file as plain values that remember their lines, for errors that say where.

Scalars are read by the core schema of YAML 1.2: ``1e4`` is a number, and ``no`` is a word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from velatura.core.errors import ConfigError, unknown_name

__all__ = ["At", "Document", "read_document"]

At: TypeAlias = tuple[str | int, ...]
"""Keys and positions that lead to a value."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a file says, and on which line.

    Args:
        name: Of the file, for messages.
        content: Plain values.
        lines: Where each key or item stands, from 1.
    """

    name: str
    content: Mapping[str, Any]
    lines: Mapping[At, int]

    def error(self, at: At, message: object) -> ConfigError:
        """An error to raise, with file and line in front; what was no file has no lines."""
        if not self.lines:
            return ConfigError(f"{self.name}: {message}")
        known = next((self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines), 1)
        return ConfigError(f"{self.name}:{known}: {message}")

    def table(self, at: At, known: Collection[str] | None = None, kind: str = "field") -> dict[str, Any]:
        """The mapping at ``at``; empty where there is none.

        Args:
            at: Where.
            known: Keys that it may have; None: any.
            kind: What such a key is, for messages.

        Raises:
            ConfigError: It is no mapping, or has another key.
        """
        value = self.value(at)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.error(at, f"expected fields with values here, not {value!r}")
        for key in value:
            if known is not None and key not in known:
                raise self.error((*at, key), unknown_name(kind, key, known))
        return dict(value)

    def value(self, at: At) -> Any:
        """What stands at ``at``; None where nothing does."""
        value: Any = self.content
        for step in at:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value


def read_document(path: Path, *, name: str | None = None) -> Document:
    """Reads a YAML file.

    Args:
        path: The file.
        name: What messages call it; None: its path.

    Raises:
        ConfigError: It cannot be read, is no YAML, or is no table of fields; or PyYAML is not installed.
    """
    if find_spec("yaml") is None:
        raise ConfigError("sweeps are described in YAML, which needs pyyaml: pip install 'velatura[eval]'")
    name = str(path) if name is None else name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    lines: dict[At, int] = {}
    content = _plain(_node(text, name), (), lines, name)
    if not isinstance(content, dict):
        raise ConfigError(f"{name}:1: expected fields with values, such as 'title: ...'")
    return Document(name=name, content=content, lines=lines)


def _node(text: str, name: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1
                raise ConfigError(
                    f"{name}:{line}: aliases such as *{event.anchor} are not read; write it out"
                )
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f":{mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{name}{where}: this is no YAML: {problem}") from None


def _plain(node: Any, at: At, lines: dict[At, int], name: str) -> Any:
    import yaml

    if node is None:
        return None
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(node, at, lines, name))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*at, number), lines, name) for number, item in enumerate(node.value)]
    return node.value if node.style is not None else _scalar(node.value)


def _entries(node: Any, at: At, lines: dict[At, int], name: str) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key.value, str):
            raise ConfigError(f"{name}:{line}: expected a name before the colon")
        if key.value in seen:
            raise ConfigError(f"{name}:{line}: {key.value!r} stands here a second time; leave one out")
        seen.add(key.value)
        lines[*at, key.value] = line
        yield key.value, _plain(value, (*at, key.value), lines, name)


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
