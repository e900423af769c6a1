"""A fault of the check: the sentence goes without a marker, the answer goes on, and the log says where it happened."""

import logging
from collections.abc import Iterator, Sequence

import pytest

from server.errors import NotReady
from server.grounding.cite import CitedText, Mode, Verdict
from server.grounding.structure import CitedStructure
from server.grounding.support import Finding, Sources
from tests.fakes.engine import ScriptedEngine
from tests.fakes.meaning import WordsApart, apart
from tests.fakes.serving import LEAVE, client_of, question, services

NOTHING = "The documents do not contain the answer."
PASSAGE = "Staff get 28 days of leave."
SECRET = "-".join(("canary", "fault"))  # so that no line of code holds it


class Stumbling(Sources):
    """Rules with a bug, which a claim about the moon brings on."""

    def find(self, claim: str) -> Finding:
        if "moon" in claim:
            raise KeyError(SECRET)
        return super().find(claim)


class Loading(Sources):
    """Rules whose embedder is not there yet."""

    def find(self, claim: str) -> Finding:
        raise NotReady("The server is still loading; retry shortly.")


class Torn(list[str]):
    """Passages that cannot be cut."""

    def __iter__(self) -> Iterator[str]:
        raise KeyError(SECRET)


def written(sources: Sources, text: str, mode: Mode) -> tuple[str, Verdict]:
    answer = CitedText(sources, mode=mode, abstention=NOTHING)
    sent = answer.grow(text)
    rest, verdict = answer.end()
    return sent + rest, verdict


def reasons(verdict: Verdict) -> list[str | None]:
    return [one.finding.reason for one in verdict.checked]


def test_the_sentence_stays_unmarked_and_the_others_do_not(caplog: pytest.LogCaptureFixture) -> None:
    text, verdict = written(Stumbling([PASSAGE], "Who gets what?", apart), f"See the moon. {PASSAGE}", "cite")

    assert text == f"See the moon. {PASSAGE} [1]"
    assert (verdict.status, reasons(verdict)) == ("partial", ["fault", None])
    assert "KeyError" in caplog.text
    assert "test_faults.py" in caplog.text
    assert SECRET not in caplog.text


def test_strict_withholds_what_could_not_be_checked() -> None:
    sources = Stumbling([PASSAGE], "Who gets what?", apart)

    assert written(sources, f"See the moon. {PASSAGE}", "strict")[0] == f"{PASSAGE} [1]"
    assert written(sources, "See the moon.", "strict")[0] == NOTHING


def test_in_a_given_form_a_claim_goes_without_a_source() -> None:
    sources = Stumbling([PASSAGE], "Who gets what?", apart)
    answer = CitedStructure(sources, mode="cite", abstention=NOTHING, is_json=True)
    answer.grow(f'{{"a": "See the moon.", "b": "{PASSAGE}"}}')

    assert reasons(answer.end()[1]) == ["fault", None]


def test_passages_that_cannot_be_cut_support_nothing() -> None:
    text, verdict = written(Sources(Torn([PASSAGE]), "Who gets what?", apart), f"{PASSAGE} It ends.", "cite")

    assert text == f"{PASSAGE} It ends."
    assert (verdict.status, reasons(verdict)) == ("unsupported", ["fault", "fault"])


def test_what_is_foreseen_keeps_its_own_form() -> None:
    with pytest.raises(NotReady):
        written(Loading([PASSAGE], "Who gets what?", apart), PASSAGE, "cite")


class Unsteady(WordsApart):
    """An embedder with a bug."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        raise KeyError(SECRET)


@pytest.mark.anyio
async def test_an_answer_arrives_though_it_cannot_be_checked(caplog: pytest.LogCaptureFixture) -> None:
    answer = "Full-time staff enjoy 28 days of paid leave."
    given = services(ScriptedEngine(answer), embedder=Unsteady())
    body = question(
        "How many days of paid leave do full-time staff receive?",
        documents=[{"title": "Leave", "text": LEAVE}],
    )

    with caplog.at_level(logging.INFO):
        async with client_of(given) as client:
            response = await client.post("/v1/chat/completions", json=body)

    message = response.json()["choices"][0]["message"]
    assert message["content"] == answer
    assert [one["reason"] for one in message["context"]["grounding"]["verdicts"]] == ["fault"]
    assert SECRET not in caplog.text + response.text
