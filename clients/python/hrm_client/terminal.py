"""`hrm-ask`: a question on the command line, the answer as it is written, and then its sources.

Exit codes: 0 answered, 3 the documents hold no answer, 1 an error in one line, 2 a wrong option.
"""

import argparse
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from openai import APIConnectionError, APIError, APITimeoutError, AuthenticationError, OpenAIError

from hrm_client.answers import Answer, Citation, Delta, Done, Source
from hrm_client.client import DEFAULT_URL, KEY_VARIABLE, HrmClient
from hrm_client.request import GroundingMode, check_text

ANSWERED, FAILED, NOT_FOUND, INTERRUPTED = 0, 1, 3, 130


class _Unwritten(Exception):
    """Standard output takes no more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal in an old code page shows a question mark rather than losing the answer.
        sys.stdout.reconfigure(errors="replace")
    try:
        question = sys.stdin.read() if options.question == "-" else options.question
        if not question.strip():
            return _fail("the question is empty")
        check_text(question)
        if not _is_address(options.url):
            return _fail(f"{options.url} is not an address like {DEFAULT_URL}")
        return _ask(question.strip(), options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, `head`) has left; Python would complain about it once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except _Unwritten as error:
        return _fail(f"the answer cannot be written: {error}")
    except UnicodeDecodeError:
        return _fail("the question on standard input is not text")
    except (OpenAIError, LookupError, ValueError, OSError) as error:
        return _fail(_in_words(error, options.url))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hrm-ask", description="Ask an hrm-serve server.")
    parser.add_argument("question", help="the question; - reads it from standard input")
    parser.add_argument("--url", default=DEFAULT_URL, help="where the server's API is (default: %(default)s)")
    parser.add_argument("--key", help=f"API key; better kept in {KEY_VARIABLE}, where other users cannot see it")
    parser.add_argument("--model", help="model to ask (default: the server's)")
    parser.add_argument(
        "--store", action="append", help="store to look in, by name or id; may be repeated (default: the server's)"
    )
    parser.add_argument("--strict", action="store_true", help="withhold every sentence that no source supports")
    parser.add_argument("--json", action="store_true", help="print the whole answer as one JSON object")
    parser.add_argument("--version", action="version", version=_version())
    return parser


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _version() -> str:
    try:
        return f"hrm-ask {version('hrm-client')}"
    except PackageNotFoundError:
        return "hrm-ask, not installed"


def _ask(question: str, options: argparse.Namespace) -> int:
    grounding: GroundingMode | None = "strict" if options.strict else None
    with HrmClient(options.url, options.key, model=options.model) as client:
        if options.json:
            answer = client.ask(question, store=options.store, grounding=grounding)
            _write(json.dumps(_as_json(answer)))
        else:
            answer = _show(client, question, options.store, grounding)
    return NOT_FOUND if _is_missing(answer, grounding) else ANSWERED


def _show(client: HrmClient, question: str, store: Sequence[str] | None, grounding: GroundingMode | None) -> Answer:
    begun = False
    try:
        with client.stream(question, store=store, grounding=grounding) as parts:
            for part in parts:
                match part:
                    case Delta(text):
                        begun = True
                        _write(_printable(text), end="")
                    case Done(answer):
                        _write("\n".join(["", *_listed(answer)]))
                        return answer
    except (OpenAIError, KeyboardInterrupt):
        if begun:
            print()  # the message does not start in the middle of the answer's last line
        raise
    raise AssertionError("a stream that ends well ends in Done")


def _write(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _Unwritten(error.strerror) from error


def _listed(answer: Answer) -> list[str]:
    """The cited sources, each with the words that the server found in it."""
    lines = []
    for source in answer.sources:
        cited = [citation for citation in answer.citations if citation.number == source.number]
        for quote in dict.fromkeys(_quoted(citation, source) for citation in cited):
            lines += ["", *quote]
    return ["", "Sources", *lines[1:]] if lines else []


def _quoted(citation: Citation, source: Source) -> tuple[str, str]:
    start, end = citation.start_char, citation.end_char
    if start is None or end is None:
        start, end = source.start_char, source.end_char
    names = [source.title, source.filename] if source.title != source.filename else [source.title]
    named = ", ".join(_printable(" ".join(name.split())) for name in names if name)
    return (
        f"[{source.number}] {named}, characters {start} to {end}",
        f'    "{_printable(" ".join((citation.quote or source.text).split()))}"',
    )


def _is_missing(answer: Answer, grounding: GroundingMode | None) -> bool:
    if answer.grounding is None:
        return False
    status = answer.grounding.status
    # Under strict, an unsupported answer has been withheld as a whole.
    return status in ("abstained", "no_sources") or (grounding == "strict" and status == "unsupported")


def _as_json(answer: Answer) -> dict[str, object]:
    # dataclasses.asdict copies what it does not know, and the usage is the official client's own type.
    usage = answer.usage.to_dict() if answer.usage is not None else None
    return {**asdict(answer), "usage": usage}


def _printable(text: str) -> str:
    """Without control characters: a document must not be able to steer the reader's terminal."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character) != "Cc")


def _in_words(error: Exception, url: str) -> str:
    match error:
        case APITimeoutError():
            return f"{url} did not answer in time"
        case APIConnectionError(__cause__=None):
            return error.message
        case APIConnectionError(__cause__=cause):
            return f"the connection to {url} failed: {cause}"
        case AuthenticationError():
            return f"{_message(error)} (give a key with {KEY_VARIABLE} or --key)"
        case APIError():
            return _message(error)
    return str(error)


def _message(error: APIError) -> str:
    # The official client puts the status and the whole body into a refusal's text; the server's sentence is inside.
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        return str(error.body["message"])
    return error.message


def _fail(message: str) -> int:
    print(f"hrm-ask: {_printable(' '.join(message.split()))}", file=sys.stderr)
    return FAILED
