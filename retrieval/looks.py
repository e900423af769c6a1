"""How an element looks, as far as its page says for certain: whether what is in it can be seen. It knows no text.

In doubt it can: what scripts and linked style sheets do is not known here.
"""

import re
from dataclasses import dataclass, replace

from retrieval.colours import Colour, alike, colour, ground
from retrieval.styles import Attributes, Declared, Styles

_UNSHOWN = frozenset({"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "select"})
# Height, width and the like do nothing to these, unless they are made to boxes.
_INLINE_TAGS = (
    "a abbr b bdi bdo big cite code del dfn em font i ins kbd label mark q s samp small span strike strong sub sup"
    " time tt u var table thead tbody tfoot tr td th"
)
_INLINE = frozenset(_INLINE_TAGS.split())
_OWN_COLOURS = frozenset({"mark", "dialog", "button", "textarea"})  # a browser's, which are not known
_BOXES = frozenset({"block", "inline-block", "flex", "inline-flex", "grid", "inline-grid", "list-item", "flow-root"})
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([a-z]*|%)")
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945, "rem": 16.0}
_OF_FONT = {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5, "lh": 1.2}
_FONT_PX = 16.0
_SMALLEST_PX = 1.0
_BESIDE_PX = -999.0  # so far to the left or above that no page reaches there
_OPACITY = 0.02
_COVERED = re.compile(r"inset\(\s*(?:[5-9]\d|100)(?:\.\d+)?%\s*\)|circle\(\s*0(?:px|%)?(?:\s+at\b[^)]*)?\)")
_CLIPPED = re.compile(r"rect\(([^)]*)\)")
_SCALED = re.compile(r"(?:^|\s)scale(?:x|y)?\(\s*0(?:\.0*)?\s*(?:,[^)]*)?\)")


@dataclass(frozen=True, slots=True)
class Look:
    """What an element hands down to those in it."""

    is_shown: bool = True  # otherwise nothing in it can be seen, whatever that says of itself
    is_code: bool = False  # no text at all, seen or not
    is_visible: bool = True
    font_px: float = _FONT_PX
    colour: Colour | None = None  # None: not known
    ground: Colour | None = None  # likewise
    is_camouflaged: bool = False

    @property
    def is_seen(self) -> bool:
        return self.is_shown and self.is_visible and self.font_px >= _SMALLEST_PX and not self.is_camouflaged


def inside(look: Look, tag: str, attributes: Attributes, styles: Styles, *, is_flat: bool) -> Look:
    """The look of an element in one that looks like this.

    Args:
        is_flat: nothing of the page can lie over or behind anything else.
    """
    if not look.is_shown:
        return look if look.is_code or tag not in _UNSHOWN else replace(look, is_code=True)
    if tag in _UNSHOWN:
        return replace(look, is_shown=False, is_code=True)
    stated = styles.declared(tag, attributes)
    if not stated and not attributes and tag not in _OWN_COLOURS | {"a"}:
        return look
    if _is_hidden(tag, attributes, stated):
        return replace(look, is_shown=False)
    moves = "animation" in stated
    sizes = stated.get("font-size") or (["medium"] if tag == "font" and "size" in attributes else [""])
    font_px = max(_font_px(value, look.font_px) for value in sizes)
    return _coloured(
        replace(look, is_visible=moves or _is_visible(look, stated), font_px=_FONT_PX if moves else font_px),
        tag,
        attributes,
        stated,
        is_flat=is_flat,
    )


def _is_hidden(tag: str, attributes: Attributes, stated: Declared) -> bool:
    """Whether all that may be declared of an element leaves nothing of it to see."""
    display = stated.get("display", [""])
    if "hidden" in attributes or (tag == "dialog" and "open" not in attributes):
        display = [value or "none" for value in display]
    if all(value == "none" for value in display):
        return True
    if (attributes.get("aria-hidden") or "").lower() == "true":
        return True

    def always(name: str, *values: str) -> bool:
        return name in stated and all(value in values for value in stated[name])

    def at_most(name: str, most: float) -> bool:
        return name in stated and all((px := _pixels(value)) is not None and px <= most for value in stated[name])

    def matches(name: str, pattern: re.Pattern[str]) -> bool:
        return name in stated and all(pattern.search(value) is not None for value in stated[name])

    is_placed = always("position", "absolute", "fixed")
    is_box = tag not in _INLINE or is_placed or always("display", *_BOXES)
    if is_box and (always("content-visibility", "hidden") or at_most("text-indent", _BESIDE_PX)):
        return True
    if "animation" in stated:
        return False
    if "opacity" in stated and all(_share(value) <= _OPACITY for value in stated["opacity"]):
        return True
    is_cut = is_box and always("overflow", "hidden", "clip") and not _has_padding(stated)
    if is_cut and any(at_most(name, 0) for name in ("height", "max-height", "width")):
        return True
    if is_cut and at_most("height", 1) and at_most("width", 1):
        return True
    if is_placed and (at_most("left", _BESIDE_PX) or at_most("top", _BESIDE_PX)):
        return True
    if is_placed and "clip" in stated and all(map(_is_clipped, stated["clip"])):
        return True
    return (
        at_most("margin-left", _BESIDE_PX)
        or matches("clip-path", _COVERED)
        or (is_box and matches("transform", _SCALED))
    )


def _is_visible(look: Look, stated: Declared) -> bool:
    hides = [
        value in ("hidden", "collapse") or (value in ("", "inherit", "unset") and not look.is_visible)
        for value in stated.get("visibility", ("",))
    ]
    return not all(hides)


def _font_px(value: str, inherited: float) -> float:
    found = _NUMBER.fullmatch(value)
    if found is None:
        return inherited if value in ("", "inherit", "unset", "smaller", "larger") else _FONT_PX
    number, unit = float(found[1]), found[2]
    if unit in _OF_FONT:
        return number * _OF_FONT[unit] * inherited
    if unit == "" and number:
        return inherited  # void: a length needs its unit
    return number * _PIXELS[unit] if unit in _PIXELS else (_FONT_PX if number else 0.0)


def _pixels(value: str) -> float | None:
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    if unit in ("em", "ex", "ch", "lh"):
        return number * _OF_FONT[unit] * _FONT_PX
    return number * _PIXELS[unit] if unit in _PIXELS and (unit or not number) else (None if number else 0.0)


def _share(value: str) -> float:
    found = _NUMBER.fullmatch(value)
    if found is None or found[2] not in ("", "%"):
        return 1.0
    return float(found[1]) * (0.01 if found[2] else 1)


def _has_padding(stated: Declared) -> bool:
    paddings = (value for name, values in stated.items() if name.startswith("padding") for value in values)
    return any(_pixels(length) != 0 for value in paddings for length in value.split())


def _is_clipped(value: str) -> bool:
    found = _CLIPPED.fullmatch(value)
    edges = [_pixels(edge) for edge in re.split(r"[\s,]+", found[1].strip())] if found else []
    if len(edges) != 4 or None in edges:
        return False
    top, right, bottom, left = (edge or 0.0 for edge in edges)
    return right <= left or bottom <= top


def _coloured(look: Look, tag: str, attributes: Attributes, stated: Declared, *, is_flat: bool) -> Look:
    """The look with the colours that are stated, and whether they leave something to read."""
    own = stated.get("color") or ([attributes.get("color") or ""] if tag == "font" else [""])
    behind = stated.get("background-color") or [attributes.get("bgcolor") or ""]
    is_painted = bool(attributes.get("background")) or any(
        value not in ("", "none", "initial") for value in stated.get("background-image", ())
    )
    text = look.colour
    if tag == "body" and own == [""]:
        own = [attributes.get("text") or ""]
    if own != [""]:
        text = colour(own[0], look.colour) if len(own) == 1 else None
    elif tag in _OWN_COLOURS or (tag == "a" and attributes.get("href") is not None):
        text = None
    under, states_ground = look.ground, behind != [""] or is_painted
    if states_ground:
        under = ground(behind[0], look.ground) if len(behind) == 1 and not is_painted else None
    elif tag in _OWN_COLOURS:
        under, states_ground = None, True
    if (text, states_ground) == (look.colour, False) and own == [""]:
        return look
    is_drawn = any(name in stated for name in ("text-shadow", "background-clip", "animation", "-webkit-text-stroke"))
    is_alike = (
        text is not None
        and not is_drawn
        and (text.is_clear or (under is not None and alike(text, under) and (states_ground or is_flat)))
    )
    return replace(look, colour=text, ground=under, is_camouflaged=is_alike)
