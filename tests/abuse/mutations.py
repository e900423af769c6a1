"""Valid requests made wrong, by a seed: in their values, their form, their bytes, their head."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import quote

from tests.abuse.valid import Request

_RAW = re.compile(r'"@raw(.*?)raw@"')  # where JSON's own writer would not write such a thing


def _raw(text: str) -> str:
    return f"@raw{text}raw@"


DEEP = _raw("[" * 60 + "]" * 60)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**30,
    1.5,
    1e308,
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "￿\U0010ffff",
    "‮\u200b\ufeff",
    "ＡＢＣ",
    "../../etc/passwd",
    "%00",
    "'; DROP TABLE keys; --",
    '" OR "*" NEAR(',
    "{{7*7}}${7*7}",
    "a" * 300,
    "é" * 70_000,
    "*",
    "user:",
    [],
    {},
    [[]],
    {"": ""},
    [None],
    ["a"] * 2000,
    list(range(3000)),
    {str(number): number for number in range(500)},
    {"$ref": "#"},
    {"__proto__": {}},
    _raw("NaN"),
    _raw("Infinity"),
    _raw("-Infinity"),
    _raw("1e999"),
    _raw("-0"),
    _raw("1" * 4000),
    _raw("1" * 5000),
    _raw('{"a":1,"a":2}'),
    _raw('"\\u0000"'),
    DEEP,
)
ODD_TEXT = tuple(value for value in ODD_VALUES if isinstance(value, str) and "@raw" not in value)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "BREW", "P" * 200)
_SEGMENTS = (
    "..",
    ".",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252f",
    "..%5c..%5c",
    "%00",
    "%ff%fe",
    "%F0%9F%A7%80",
    "%ed%a0%80",
    "%",
    "%zz",
    "",
    "%20",
    "*",
    "a" * 3000,
    "vs_" + "0" * 300,
    "file-%27%20OR%201=1",
    "none",
    "~root",
    "a;b=c",
    "a%0d%0aSet-Cookie:x=1",
)
_HEADERS = (
    b"authorization: Bearer",
    b"authorization: Basic c2stYWRtaW46",
    b"authorization: Bearer \xff\xfe",
    b"authorization: Bearer " + b"k" * 5000,
    b"authorization: Bearer sk-ann",
    b"content-type: text/plain",
    b"content-type: application/json; charset=utf-16",
    b"content-type: multipart/form-data; boundary=" + b"b" * 200,
    b"content-type: multipart/form-data",
    b"content-type: \xff/\xff",
    b"content-encoding: gzip",
    b"content-encoding: identity, gzip",
    b"accept: application/xml;q=nan",
    b"accept-encoding: zstd, *;q=0",
    b"range: bytes=0-0",
    b"range: bytes=-1",
    b"range: bytes=5-1,3-2,9999999999999999999-",
    b"range: bytes=" + b"0-0," * 500,
    b"if-range: x",
    b"if-none-match: *",
    b"if-modified-since: Tue, 99 Foo 20266 99:99:99 GMT",
    b"x-request-id: a\tb",
    b"x-request-id: " + b"r" * 500,
    b"x-forwarded-for: 1.2.3.4, \xff",
    b"x-forwarded-proto: javascript",
    b'forwarded: for="_gazonk"',
    b"x-http-method-override: DELETE",
    b"x-original-url: /metrics",
    b"upgrade: websocket\r\nconnection: upgrade",
    b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk",
    b"expect: 100-continue",
    b"expect: 200-maybe",
    b"cookie: " + b"a=b; " * 1000,
    b"te: trailers",
    b"connection: keep-alive, close, content-length",
    b"content-length: 0",
    b"content-length: 5, 5",
    b"content-length: +7",
    b"transfer-encoding: chunked",
    b"transfer-encoding: chunked, identity",
    b"host: evil.example\r\nhost: other",
    b"host: [::1",
    b" leading: space",
    b"no-colon",
    b": no-name",
    b"x-nul: a\x00b",
    b"x-" + b"n" * 40_000 + b": 1",
)


def mutated(request: Request, random: Random) -> tuple[bytes, str]:
    """The bytes of a request gone wrong in one to three ways, and in words how."""
    said: list[str] = []
    headers: list[bytes] = []
    spoil: Callable[[bytes], bytes] = lambda data: data  # noqa: E731  # replaced below, or not
    for _ in range(random.choice((1, 1, 2, 3))):
        way = random.choice(
            ("value", "value", "value", "value", "query", "path", "path", "method", "header", "header", "bytes")
        )
        said.append(way)
        match way:
            case "value" if request.body is not None:
                request = replace(request, body=_with_odd_value(copy.deepcopy(request.body), random))
            case "query":
                request = replace(request, query=_odd_query(request.query, random))
            case "path":
                request = replace(request, path=_odd_path(request.path, random))
            case "method":
                request = replace(request, method=random.choice(_METHODS))
            case "header":
                headers.append(random.choice(_HEADERS))
            case _:
                spoil = _spoiler(random)
    return spelled(request, headers, spoil), " and ".join(said)


def spelled(request: Request, headers: list[bytes], spoil: Callable[[bytes], bytes] = bytes) -> bytes:
    """A request as it goes over the line; a header that is given replaces the usual one."""
    body = request.raw if request.raw is not None else _json(request.body)
    body = spoil(body)
    usual = [
        b"host: test",
        b"authorization: Bearer sk-admin",
        b"content-type: " + request.content_type.encode(),
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    given = {header.split(b":")[0].lower() for header in headers}
    lines = [line for line in usual if line.split(b":")[0] not in given] + headers
    target = request.path + (f"?{request.query}" if request.query else "")
    head = f"{request.method} {target} HTTP/1.1\r\n".encode("utf-8", "surrogatepass")
    return head + b"\r\n".join(lines) + b"\r\n\r\n" + body


def _json(body: Any) -> bytes:
    return b"" if body is None else _RAW.sub(lambda found: json.loads(f'"{found[1]}"'), json.dumps(body)).encode()


def _with_odd_value(body: Any, random: Random) -> Any:
    places = list(_places(body, ()))
    place = random.choice(places)
    if not place:
        return random.choice(ODD_VALUES)
    *way, last = place
    around = body
    for step in way:
        around = around[step]
    match random.randrange(6):
        case 0 if isinstance(around, dict):
            del around[last]
        case 1 if isinstance(around, dict):
            around[random.choice(ODD_TEXT)] = random.choice(ODD_VALUES)
        case 2:
            around[last] = [around[last]] * random.choice((1, 2, 300))
        case 3:
            around[last] = {"type": around[last], "value": around[last]}
        case 4 if isinstance(around[last], str):
            around[last] = within(around[last], random.choice(ODD_TEXT))
        case _:
            around[last] = random.choice(ODD_VALUES)
    return body


def within(text: str, odd: str) -> str:
    """A text that looks valid from both ends, with something odd inside a word of it."""
    middle = len(text) // 2
    return f"{text[:middle]}{odd}{text[middle:]}"


def _places(value: Any, way: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found = [way]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*way, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += _places(inner, (*way, number))
    return found


def _odd_query(query: str, random: Random) -> str:
    names = re.findall(r"(\w+)=", query) or ["limit"]
    value = quote(str(random.choice(ODD_VALUES))[:2000].encode("utf-8", "surrogatepass"))
    match random.randrange(4):
        case 0:
            return f"{query}&{random.choice(names)}={value}"
        case 1:
            return f"{random.choice(names)}={value}"
        case 2:
            return f"{value}={value}&&=&;"
        case _:
            return f"{random.choice(('after', 'before', 'order', 'filter', 'purpose'))}={value}"


def _odd_path(path: str, random: Random) -> str:
    segments = path.split("/")
    number = random.randrange(1, len(segments))
    match random.randrange(3):
        case 0:
            segments[number] = random.choice(_SEGMENTS)
        case 1:
            segments.insert(number, random.choice(_SEGMENTS))
        case _:
            segments[number] += random.choice(_SEGMENTS)
    return "/".join(segments)


def _spoiler(random: Random) -> Callable[[bytes], bytes]:
    number = random.random()

    def at(data: bytes) -> int:
        return int(number * len(data))

    ways: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: data[: at(data)],
        lambda data: data[: at(data)] + b"\xff\xfe\x00" + data[at(data) :],
        lambda data: data[: at(data)] + data[at(data) + 1 :],
        lambda data: data + data,
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode("utf-8", "replace").encode("utf-16"),
        lambda data: data.replace(b'"', b"'"),
        lambda data: data.replace(b"\r\n", b"\n"),
        lambda data: b"[" * 3000 + data,
        lambda data: data.replace(b"}", b',"a":1}', 1).replace(b"{", b'{"a":2,', 1),
        lambda data: b"\x1f\x8b\x08" + data,
        lambda data: b"x" * 200_000,
        lambda data: bytes(byte ^ (1 << (index % 8)) if index % 17 == 3 else byte for index, byte in enumerate(data)),
    )
    return random.choice(ways)
