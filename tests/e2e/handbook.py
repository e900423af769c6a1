"""Asking the questions about the sample documents, and judging the answers as a careful reader would."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

QUESTIONS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "handbook_questions.json").read_text(encoding="utf-8")
)

ABSTENTION = "The documents do not contain the answer."


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question, what was said, and whether that is right."""

    id: str
    said: str
    is_right: bool  # the answer is one of those accepted
    is_cited: bool  # and a cited span of a document holds it
    status: str


def ask(client: openai.OpenAI, model: str, question: str, **retrieval: Any) -> Any:
    """One question, whole; the completion."""
    return client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        extra_body={"retrieval": retrieval} if retrieval else None,
    )


def judge(completion: Any, entry: dict[str, Any]) -> Verdict:
    """Judge an answer: an answerable question by its accepted answers, another by its abstention.

    Right means that the answer, without markers, is an accepted one or a sentence that holds it; where there is none,
    that the sentence which says so stands there, and nothing is cited.
    """
    message = completion.choices[0].message
    status = message.context["grounding"]["status"]
    cited = [annotation["url_citation"]["content"] for annotation in _dumped(message.annotations)]
    plain = re.sub(r" ?\[\d+\]", "", message.content)
    if "answers" not in entry:
        is_right = plain == ABSTENTION and not cited
        return Verdict(entry["id"], message.content, is_right, is_right, status)
    found = [answer for answer in entry["answers"] if _holds(plain, answer)]
    is_cited = any(_holds(span, answer) for span in cited for answer in found)
    return Verdict(entry["id"], message.content, bool(found), is_cited, status)


def asked(client: openai.OpenAI, model: str, entries: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Ask and judge one after another."""
    return [judge(ask(client, model, entry["question"]), entry) for entry in entries]


def _holds(text: str, answer: str) -> bool:
    """Whether `answer` stands in `text` as whole words, whatever the case."""
    return re.search(rf"(?<![\w.,]){re.escape(answer)}(?!\w|[.,]\d)", text, re.IGNORECASE) is not None


def _dumped(annotations: Any) -> list[dict[str, Any]]:
    return [annotation.to_dict() for annotation in annotations or ()]
