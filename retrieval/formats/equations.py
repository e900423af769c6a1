"""Word's formulas as a line of text, in the order of reading: (a+b)/2, x^2, √(n+1)."""

import re

from docx.oxml.ns import qn
from lxml.etree import _Element

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
EQUATION = f"{_MATH}oMath"
_TEXT, _VALUE = f"{_MATH}t", f"{_MATH}val"
# What stands before a part that is set above, below or beside another one.
_SIGNS = {f"{_MATH}{name}": sign for name, sign in (("num", ""), ("den", "/"), ("sup", "^"), ("sub", "_"))}
_RADICAL, _DEGREE, _OPERATOR, _FUNCTION, _BRACKETS, _ROW = (
    f"{_MATH}{name}" for name in ("rad", "deg", "nary", "func", "d", "mr")
)
_USUAL = (("begChr", "("), ("sepChr", "|"), ("endChr", ")"))
_INNER = f"{_MATH}e"
_LEFT_OUT = frozenset({qn("w:del"), qn("w:moveFrom")})
_ONE = re.compile(r"\w*|\d+[.,]\d+")


def line(equation: _Element) -> str:
    """The text of a formula; what is deleted or hidden is left out."""
    if equation.tag in _LEFT_OUT or _is_hidden(equation):
        return ""
    if equation.tag == _TEXT:
        return equation.text or ""
    if equation.tag == _BRACKETS:
        opening, between, closing = (_sign(equation, name, usual) for name, usual in _USUAL)
        return opening + between.join(line(child) for child in equation if child.tag == _INNER) + closing
    if equation.tag == _ROW:
        return " ".join(map(line, equation)) + "; "
    # Each part is read once: formulas lie in one another, and whatever is done twice doubles with every level.
    parts = [(child.tag, line(child)) for child in equation]
    text = "".join(read for _, read in parts)
    inner = "".join(read for tag, read in parts if tag == _INNER)
    if equation.tag in _SIGNS:
        return _SIGNS[equation.tag] + _grouped(text) if text else ""
    if equation.tag == _RADICAL:
        degree = "".join(read for tag, read in parts if tag == _DEGREE)
        return f"{degree}√{_grouped(inner)}"
    if equation.tag in (_OPERATOR, _FUNCTION):
        named = "".join(read for tag, read in parts if tag != _INNER)
        return f"{_sign(equation, 'chr', '∫') if equation.tag == _OPERATOR else ''}{named} {inner}"
    return text


def _sign(equation: _Element, name: str, usual: str) -> str:
    """A sign that properties name instead of the usual one; it may be none."""
    found = equation.find(f"*/{_MATH}{name}")
    return usual if found is None else found.get(_VALUE, "")


def _grouped(text: str) -> str:
    return text if _ONE.fullmatch(text) else f"({text})"


def _is_hidden(run: _Element) -> bool:
    return is_on(run.find(f"{qn('w:rPr')}/{qn('w:vanish')}"))


def is_on(toggle: _Element | None) -> bool:
    """Whether one of Word's switches is there and not turned off."""
    return toggle is not None and toggle.get(qn("w:val"), "1") not in ("0", "false", "off")
