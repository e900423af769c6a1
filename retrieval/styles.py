"""Style sheets inside a page: what they declare of an element, for certain or at times. It knows no text."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

Attributes = Mapping[str, str | None]
# By property: the value that holds (empty: none is stated), then others that may hold instead.
Declared = dict[str, list[str]]
# Precedence, whether it is sure to hold, and the value.
_Stated = tuple[tuple[int, ...], bool, str]

_STRING = r""""(?:\\.|[^"\\])*+"?+|'(?:\\.|[^'\\])*+'?+"""  # what it has taken it does not give back
_COMMENT = re.compile(rf"({_STRING})|/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_MARK = re.compile(rf"{_STRING}|\\.|[{{}};()]", re.DOTALL)
_NAME = r"(?:[-\w]|[^\x00-\x7f]|\\[0-9a-fA-F]{1,6}\s?|\\.)+"
_COMPOUND = re.compile(rf"(\*|{_NAME})?((?:[.#]{_NAME})*)")
_PART = re.compile(rf"[.#]{_NAME}")
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_ASIDE = re.compile(rf"\[(?:{_STRING}|[^\]\"'])*+\]|\((?:{_STRING}|[^()\"'])*+\)", re.DOTALL)
_OF_ANOTHER = re.compile(r"::|:(before|after|first-line|first-letter)\b")  # text beside the element's
_PSEUDO = re.compile(rf":{_NAME}")
_ALWAYS = re.compile(r"@media\s*(all|screen)?\s*", re.IGNORECASE)
_NO_RULES = ("@font-face", "@keyframes", "@-webkit-keyframes", "@page", "@property", "@counter-style", "@charset")
_DEEPEST = 20  # at-rules, and brackets, in one another
_LONGEST = 500  # characters of a selector that is looked into
_FIRST, _LAST = 0, 10**6


@dataclass(frozen=True, slots=True)
class _Rule:
    tag: str  # empty: any
    parts: frozenset[str]  # classes and ids, with their signs
    is_certain: bool  # holds for every element that is called so
    weight: tuple[int, ...]  # ids, classes, types, order
    declarations: dict[str, tuple[str, bool]]  # value, and whether it is important

    def fits(self, tag: str, parts: frozenset[str]) -> bool:
        return self.tag in ("", tag) and self.parts <= parts


class Styles:
    """All style sheets of one page."""

    def __init__(self, *, is_scripted: bool) -> None:
        self._is_scripted = is_scripted  # a script may give an element other classes
        self._rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        self._order = 0
        self._known: dict[tuple[str, frozenset[str]], dict[str, list[_Stated]]] = {}

    def add(self, source: str, media: str = "", *, is_certain: bool = True) -> None:
        """Take in a sheet, for these media."""
        source = _COMMENT.sub(lambda found: found[1] or " ", source)
        self._add(source, is_certain and _ALWAYS.fullmatch(f"@media {media}") is not None, _DEEPEST)

    def declared(self, tag: str, attributes: Attributes) -> Declared:
        """What is declared of an element, by the sheets and by its own `style`."""
        classes = (attributes.get("class") or "").split()
        parts = frozenset([*(f".{name}" for name in classes), *([f"#{own}"] if (own := attributes.get("id")) else [])])
        stated = self._of(tag, parts)
        if style := attributes.get("style"):
            stated = dict(stated)
            for name, (value, is_important) in declarations(style).items():
                stated[name] = _foremost([((is_important, _LAST), True, value), *stated.get(name, [])])
        found: Declared = {}
        for name, values in stated.items():
            certain = [value for _, is_certain, value in values if is_certain] or [""]
            found[name] = certain + [value for _, is_certain, value in values if not is_certain]
        return found

    def _of(self, tag: str, parts: frozenset[str]) -> dict[str, list[_Stated]]:
        """What rules state of an element that is called so, by property."""
        if (tag, parts) in self._known:
            return self._known[tag, parts]
        stated: defaultdict[str, list[_Stated]] = defaultdict(list)
        for rule in (rule for key in (tag, "*", *parts) for rule in self._rules.get(key, ())):
            fits = rule.fits(tag, parts)
            if fits or (self._is_scripted and rule.tag in ("", tag) and rule.parts & parts):
                for name, (value, is_important) in rule.declarations.items():
                    stated[name].append(((is_important, _FIRST, *rule.weight), rule.is_certain and fits, value))
        self._known[tag, parts] = {name: _foremost(values) for name, values in stated.items()}
        return self._known[tag, parts]

    def _add(self, source: str, is_certain: bool, depth: int) -> None:
        for head, body in _pieces(source):
            if body is None or head.lower().startswith(_NO_RULES) or not depth:
                continue
            if head.startswith("@"):
                self._add(body, is_certain and _ALWAYS.fullmatch(head) is not None, depth - 1)
                continue
            selectors = [part.strip() for part in _split(head, ",")]
            # One that a browser does not know undoes the whole list.
            is_plain = not any(":" in selector or "&" in selector or not selector for selector in selectors)
            stated = declarations(body)
            for selector in selectors:
                self._order += 1
                if (rule := _rule(selector, self._order, stated)) is not None:
                    rule = rule if is_certain and is_plain else replace(rule, is_certain=False)
                    for key in rule.parts or {rule.tag or "*"}:
                        self._rules[key].append(rule)
            if "{" in body:  # rules within the rule
                self._add(body, False, depth - 1)


def declarations(source: str) -> dict[str, tuple[str, bool]]:
    """The declarations of a block or of an attribute by property, each with whether it is important."""
    found: dict[str, tuple[str, bool]] = {}
    for piece, body in _pieces(_COMMENT.sub(lambda found: found[1] or " ", source), ends_at_semicolon=True):
        name, colon, value = piece.partition(":")
        if body is not None or not colon:
            continue
        name, value = _plain(name).strip().lower(), _plain(value).strip().lower()
        bare = re.sub(r"\s*!\s*important$", "", value)
        is_important = bare != value
        for each, stated in _longhand(name, bare):
            if is_important or not found.get(each, ("", False))[1]:
                found[each] = (stated, is_important)
    return found


def _foremost(values: list[_Stated]) -> list[_Stated]:
    """The one that holds for certain, and each value that may come before it."""
    found: dict[str, _Stated] = {}
    for stated in sorted(values, reverse=True):
        found.setdefault(stated[2], stated)
        if stated[1]:
            found[stated[2]] = stated
            break
    return list(found.values())


def _longhand(name: str, value: str) -> Iterator[tuple[str, str]]:
    """A declaration as those that it is short for, as far as they can hide something; none if it is void."""
    if name == "display" and not re.fullmatch(r"[a-z-]+(\s+[a-z-]+)*|var\(.*", value):
        return
    if name in ("visibility", "position") and not re.fullmatch(r"[a-z-]+|var\(.*", value):
        return
    if name == "background":
        yield "background-color", value
    elif name == "font":
        size = re.search(r"(?<![\w.#-])(\d*\.?\d+(?:[a-z]+|%)|0)(?=\s|/|$)", value)
        yield "font-size", size[1] if size else "medium"
    elif name in ("overflow-x", "overflow-y"):
        yield "overflow", value
    elif name in ("animation-name", "-webkit-animation", "-webkit-animation-name"):
        yield "animation", value
    elif name == "-webkit-background-clip":
        yield "background-clip", value
    elif name == "inset":
        sides = value.split() or [""]
        yield "top", sides[0]
        yield "left", sides[-1] if len(sides) in (1, 2, 4) else sides[1]
    else:
        yield name, value


def _rule(selector: str, order: int, stated: dict[str, tuple[str, bool]]) -> _Rule | None:
    """A rule for what the last part of a selector names; None: it is not about an element."""
    if len(selector) > _LONGEST:
        return _Rule("", frozenset(), False, (_LAST, _LAST, _LAST, order), stated)
    selector = re.sub(r"(?i):root\b(?!\()", "html", selector)
    if _OF_ANOTHER.search(selector):
        return None
    bare = selector
    for _ in range(_DEEPEST):
        before, bare = bare, _ASIDE.sub("", bare)
        if bare == before:
            break
    last = _PSEUDO.sub("", re.split(r"(?<!\\)[\s>+~]+", bare.strip())[-1])
    found = _COMPOUND.fullmatch(last)
    tag, parts = (found[1] or "", found[2]) if found else ("", "")
    is_whole = found is not None and last == selector and bool(last)
    # Of what cannot be told for certain, as much as it can be.
    asks = _ASIDE.search(selector) is not None and "(" in selector
    ids = _LAST if asks else bare.count("#")
    others = bare.count(".") + bare.count(":") + selector.count("[")
    types = len(re.findall(rf"(?:^|[\s>+~]){_NAME}", bare))
    named = frozenset(_plain(part) for part in _PART.findall(parts))
    tag = "" if tag == "*" else _plain(tag).lower()
    return _Rule(tag, named, is_whole, (ids, others, types, order), stated)


def _pieces(source: str, *, ends_at_semicolon: bool = False) -> Iterator[tuple[str, str | None]]:
    """What stands before each block, and the block; None for what ends without one."""
    start = opened = depth = round_depth = 0
    for mark in _MARK.finditer(source):
        sign, at = mark.group(), mark.start()
        if sign == "(" and not depth:
            round_depth += 1
        elif sign == ")" and not depth:
            round_depth = max(0, round_depth - 1)
        elif sign == "{":
            opened = opened if depth else at
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
            if not depth:
                yield source[start:opened].strip(), source[opened + 1 : at]
                start, round_depth = at + 1, 0
        elif sign == ";" and not depth and not round_depth:
            piece = source[start:at].strip()
            if ends_at_semicolon or piece.startswith("@"):
                yield piece, None
                start = at + 1
    if depth:
        yield source[start:opened].strip(), source[opened + 1 :]
    elif piece := source[start:].strip():
        yield piece, None


def _split(source: str, sign: str) -> Iterator[str]:
    """What stands between the signs that are in no brackets and no string."""
    start = depth = 0
    for mark in re.finditer(rf"{_STRING}|\\.|[{sign}()\[\]]", source, re.DOTALL):
        if mark.group() in ("(", "["):
            depth += 1
        elif mark.group() in (")", "]"):
            depth -= 1
        elif mark.group() == sign and not depth:
            yield source[start : mark.start()]
            start = mark.end()
    yield source[start:]


def _plain(source: str) -> str:
    """A name or value without escapes."""
    if "\\" not in source:
        return source
    return _ESCAPE.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)) if found[1] else found[2], source)
