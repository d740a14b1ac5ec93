"""HTML and SVG as text that cannot be escaped from: whatever is not Markup is shown as written, whoever wrote it.

element("p", "said ", element("b", hostile_text), class_="note")
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

MOST_CHARACTERS = 400
"""Of one piece of text that somebody else wrote; the rest is counted."""

_VOID = {"meta", "img", "br", "hr", "col"}
_JOINERS = ("\u200c", "\u200d")
"""Emoji and some scripts need them; they turn no text around."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: str | float | None) -> Markup:
    """One element. An attribute named `aria_label` is written aria-label, `class_` class; None leaves it out."""
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(inside)}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Markup:
    return Markup(between.join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def foreign(text: str, most: int = MOST_CHARACTERS) -> Markup:
    """Text from outside, isolated from what stands around it: control, direction and broken characters as \\uXXXX."""
    return element("bdi", plain(text, most))


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    """The same where no markup may stand, as in <title>."""
    left_out = f" … ({len(text) - most} more characters)" if len(text) > most else ""
    return "".join(_visible(character) for character in text[:most]) + left_out


def _visible(character: str) -> str:
    if character in "\n\t":
        return " "
    shown = unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") or character in _JOINERS
    return character if shown else f"\\u{ord(character):04x}"
