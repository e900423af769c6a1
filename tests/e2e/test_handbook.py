"""The bundled model over the sample documents, through the real server: what the README promises a new user."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from server.settings import BUNDLED_MODEL, BUNDLED_NAME
from tests.e2e.handbook import ABSTENTION, QUESTIONS, ask, asked, judge
from tests.e2e.served import ROOT, Served, serving

# By someone else than who wrote the generator, the samples or the questions.
NOTICE = (
    "Cycling to work.\n\nThe bicycle cellar opens at 06:15. Marguerite Ollivander keeps the spare keys. "
    "Every rider gets a locker on the second floor.\n"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("handbook")
    with serving(folder, BUNDLED_MODEL, ["--default-store", "handbook"]) as running:
        taken = running.command("ingest", str(ROOT / "server" / "samples"), "--store", "handbook")
        assert taken.returncode == 0, taken.stderr
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


def test_at_least_15_of_20_answers_are_right_and_cited_where_they_stand(client: openai.OpenAI) -> None:
    verdicts = asked(client, BUNDLED_NAME, QUESTIONS["questions"])

    assert len(verdicts) == 20
    wrong = [f"{one.id}: {one.said!r} ({one.status})" for one in verdicts if not one.is_cited]
    assert len(wrong) <= 5, wrong


@pytest.mark.parametrize(("kind", "wrong"), [("unanswerable", 1), ("more_unanswerable", 2)])
def test_what_the_documents_do_not_answer_is_not_answered_and_nothing_is_cited(
    kind: str, wrong: int, client: openai.OpenAI
) -> None:
    verdicts = asked(client, BUNDLED_NAME, QUESTIONS[kind])

    answered = [f"{one.id}: {one.said!r} ({one.status})" for one in verdicts if not one.is_right]
    assert len(answered) <= wrong, answered
    assert all(one.status != "abstained" or one.is_right for one in verdicts), "an abstention cites nothing"


def test_what_no_passage_supports_is_shown_to_whoever_asks_for_it(client: openai.OpenAI) -> None:
    entries = QUESTIONS["unanswerable"] + QUESTIONS["more_unanswerable"]
    citing = [judge(ask(client, BUNDLED_NAME, entry["question"], grounding="cite"), entry) for entry in entries]

    shown = [one.said for one in citing if one.status == "unsupported"]

    assert shown, "the model itself declines too seldom; its card says how often"
    assert ABSTENTION not in shown


def test_streamed_and_whole_say_the_same(client: openai.OpenAI) -> None:
    for entry in QUESTIONS["questions"][:4]:
        whole = ask(client, BUNDLED_NAME, entry["question"])
        stream = client.chat.completions.create(
            model=BUNDLED_NAME, messages=[{"role": "user", "content": entry["question"]}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]

        assert "".join(pieces) == whole.choices[0].message.content


def test_a_document_that_another_process_has_added_is_answered_from_at_once(
    served: Served, client: openai.OpenAI, tmp_path: Path
) -> None:
    question = "When does the bicycle cellar open?"
    entry: dict[str, Any] = {"id": "cellar", "question": question, "answers": ["06:15"]}
    assert not judge(ask(client, BUNDLED_NAME, question), entry).is_cited
    (tmp_path / "cycling.txt").write_text(NOTICE, encoding="utf-8")

    added = served.command("ingest", str(tmp_path / "cycling.txt"), "--store", "handbook")

    assert added.returncode == 0, added.stderr
    verdict = judge(ask(client, BUNDLED_NAME, question), entry)
    assert verdict.is_cited, verdict
