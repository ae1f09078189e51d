"""Writes the tables of settings in the documents, from the presets.

    python docs/tables.py

In a page, a table stands between two comments, ``<!-- settings of NAME -->`` and
``<!-- end of settings -->``. What is there is replaced.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from velatura.presets import load_preset

__all__ = ["table_of", "with_tables"]

_DOCUMENTS = Path(__file__).parent
_PLACE = re.compile(r"(<!-- settings of ([\w-]+) -->\n).*?(<!-- end of settings -->)", re.DOTALL)


def table_of(name: str) -> str:
    """Every value of a preset with its source, as a table in Markdown.

    Raises:
        ConfigError: There is no such preset.
    """
    lines = ["| setting | value | source |", "|---|---|---|"]
    for path, value, source in load_preset(name).rows():
        shown = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"| `{path}` | `{shown}` | {source} |")
    return "\n".join(lines) + "\n"


def with_tables(page: str) -> str:
    """The page, each table as its preset is now.

    Raises:
        ConfigError: A page names a preset that there is not.
    """
    return _PLACE.sub(lambda found: f"{found[1]}{table_of(found[2])}{found[3]}", page)


def main() -> None:
    """Rewrites the pages that have changed, and names them."""
    for path in sorted(_DOCUMENTS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if with_tables(page) != page:
            path.write_text(with_tables(page), encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
