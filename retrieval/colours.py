"""Colours as style sheets write them."""

import colorsys
import re
from dataclasses import dataclass
from math import isnan

_NAMED = {
    "white": 0xFFFFFF, "black": 0x000000, "red": 0xFF0000, "green": 0x008000, "blue": 0x0000FF, "yellow": 0xFFFF00,
    "gray": 0x808080, "grey": 0x808080, "silver": 0xC0C0C0, "lightgray": 0xD3D3D3, "lightgrey": 0xD3D3D3,
    "darkgray": 0xA9A9A9, "darkgrey": 0xA9A9A9, "whitesmoke": 0xF5F5F5, "gainsboro": 0xDCDCDC, "snow": 0xFFFAFA,
    "ivory": 0xFFFFF0, "ghostwhite": 0xF8F8FF, "floralwhite": 0xFFFAF0, "mintcream": 0xF5FFFA, "azure": 0xF0FFFF,
    "navy": 0x000080, "maroon": 0x800000, "purple": 0x800080, "teal": 0x008080, "olive": 0x808000, "lime": 0x00FF00,
    "aqua": 0x00FFFF, "cyan": 0x00FFFF, "fuchsia": 0xFF00FF, "magenta": 0xFF00FF, "orange": 0xFFA500,
}  # fmt: skip
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_FUNCTION = re.compile(r"(rgb|hsl)a?\(([^()]*)\)")
_WORD = re.compile(r"#[0-9a-f]+|[a-z]+\([^()]*\)|[a-z]+")
_DRAWN = re.compile(r"url\(|gradient|image|var\(|calc\(")
_CLEAR = 0.02
# No eye tells colours apart that differ by no more than this in each of red, green and blue.
_NEAR = 8


@dataclass(frozen=True, slots=True)
class Colour:
    """Red, green and blue of 0 to 255, and how much they cover, of 0 to 1."""

    rgb: tuple[int, int, int]
    alpha: float = 1.0

    @property
    def is_clear(self) -> bool:
        return self.alpha <= _CLEAR


WHITE = Colour((255, 255, 255))
_NOTHING = Colour((0, 0, 0), 0.0)


def alike(one: Colour, other: Colour) -> bool:
    """Whether text of the one cannot be told from a ground of the other."""
    return max(abs(a - b) for a, b in zip(one.rgb, other.rgb, strict=True)) <= _NEAR


def colour(value: str, inherited: Colour | None) -> Colour | None:
    """The colour of text that is declared so; None: it cannot be told."""
    value = value.strip().lower()
    if value in ("inherit", "unset", "currentcolor"):
        return inherited
    return _read(value)


def ground(value: str, inherited: Colour | None) -> Colour | None:
    """What is behind the text where a background is declared so; None: it cannot be told."""
    value = value.strip().lower()
    if _DRAWN.search(value):
        return None
    words = _WORD.findall(value)
    found = next((read for word in words if (read := _read(word)) is not None), None)
    if found is None:
        return inherited if value in ("none", "initial", "unset", "0", "") else None
    if found.is_clear:
        return inherited
    return found if found.alpha > 1 - _CLEAR else None


def _read(value: str) -> Colour | None:
    if value == "transparent":
        return _NOTHING
    if value in _NAMED:
        return _of_number(_NAMED[value])
    if found := _HEX.fullmatch(value):
        digits = found[1] if len(found[1]) > 4 else "".join(2 * digit for digit in found[1])
        alpha = int(digits[6:], 16) / 255 if len(digits) == 8 else 1.0
        return Colour(_of_number(int(digits[:6], 16)).rgb, alpha)
    if re.fullmatch("[0-9a-f]{6}", value):  # as old pages write it in attributes
        return _of_number(int(value, 16))
    if found := _FUNCTION.fullmatch(value):
        return _of_function(found[1], re.split(r"[\s,/]+", found[2].strip()))
    return None


def _of_number(number: int) -> Colour:
    return Colour((number >> 16, number >> 8 & 0xFF, number & 0xFF))


def _of_function(name: str, parts: list[str]) -> Colour | None:
    try:
        first, second, third, *rest = (float(part.rstrip("%deg")) / (100 if "%" in part else 1) for part in parts)
    except ValueError:
        return None
    if any(map(isnan, (first, second, third, *rest))):
        return None  # "nan" is a number to Python alone
    alpha = rest[0] if rest else 1.0
    if name == "hsl":
        red, green, blue = (255 * part for part in colorsys.hls_to_rgb(first / 360 % 1, third, second))
    else:
        red, green, blue = (
            255 * value if "%" in part else value for part, value in zip(parts, (first, second, third), strict=False)
        )
    clamped = (round(max(0, min(255, part))) for part in (red, green, blue))
    return Colour((next(clamped), next(clamped), next(clamped)), alpha)
