"""Building HTML: whatever is not markup already is escaped, so that no name or text can be any."""

from __future__ import annotations

import html

__all__ = ["Markup", "element", "joined"]

_VOID = ("img", "input")


class Markup(str):
    """HTML; every other string is text."""

    __slots__ = ()


def joined(*parts: str) -> Markup:
    """Parts one after another; those that are no markup are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def element(name: str, *children: str, **attributes: str | bool | None) -> Markup:
    """``<name attribute="...">children</name>``.

    Args:
        name: The element's.
        *children: What is in it; text is escaped.
        **attributes: Their values, escaped: True for one without a value, None or False for one that is not
            there. In names, ``_`` stands for ``-``, and one at the end for nothing.
    """
    texts = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        texts.append(f" {key}" if value is True else f' {key}="{html.escape(value, quote=True)}"')
    opening = f"<{name}{''.join(texts)}>"
    if name in _VOID:
        assert not children
        return Markup(opening)
    return Markup(f"{opening}{joined(*children)}</{name}>")
