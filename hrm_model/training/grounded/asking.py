"""Questions: a wording, the frame around it, and the ways in which people write them."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Mapping, Sequence
from random import Random

from hrm_model.training.grounded.nouns import article
from hrm_model.training.grounded.relations.relation import Relation
from hrm_model.training.grounded.subjects import Subject
from hrm_model.training.grounded.wording import Wordings, fill, split

FRAMES = """
what is {n}
what is {n}
what's {n}
tell me {n}.
please give me {n}.
name {n}.
state {n}.
I need {n}.
{n}
could you tell me {n}
do you know {n}
I would like to know {n}.
what would be {n}
find {n}.
what does the text give as {n}
I am looking for {n}.
can you look up {n}
"""
WHO_FRAMES = """
who is {n}
who is {n}
who's {n}
name {n}.
tell me who is {n}.
do you know who {n} is
"""
POLITE = (
    ("Hi, ", ""), ("Hello! ", ""), ("Please tell me: ", ""), ("Quick question: ", ""), ("I was wondering: ", ""), ("", " Thanks."), ("", " Thank you!"),
    ("Good morning. ", ""), ("One more thing: ", ""), ("Could you help me? ", ""), ("Sorry, but ", ""), ("Question: ", ""), ("For a colleague: ", ""),
    ("According to the documents, ", ""), ("In our rules, ", ""), ("", " Please answer briefly."), ("I need to know: ", ""), ("", " I cannot find it."),
)  # fmt: skip
QUOTING = (
    "Answer the following question by taking a quote from the article: {q}",
    "Answer the following question by taking a quote from the article: {q}",
    "Quote the sentence that answers this: {q}",
    "Quote the sentence that answers the question. {q}",
    "Which sentence answers this question? {q}",
    "Reply with the exact sentence from the text: {q}",
    "Copy the sentence that tells the answer. {q}",
    "{q} Answer with a quote.",
    "{q} Please quote the whole sentence.",
    "Give me the full sentence that says it: {q}",
)
TYPED_FRAMES = {
    "money": "how [much|high|large|big] is {n}\nhow much is {n}\nwhat does {n} [come|amount] to\nat how much does {n} stand\nhow much money is {n}",
    "percent": "how [high|large|big] is {n}\nwhat percentage is {n}\nhow many percent is {n}\nat what percentage does {n} stand",
    "duration": "how long is {n}\nhow long does {n} last\nhow many [days or weeks|days|weeks|hours] is {n}\nof what length is {n}",
    "date": "when is {n}\non [which|what] [date|day] is {n}\nwhat date is {n}\non which date does {n} fall",
    "time": "when is {n}\nat what time is {n}\nwhat time is {n}\nat which hour is {n}",
    "where": "where is {n}\nin which place is {n}\nwhere can I find {n}\nin what place do I find {n}",
    "count": "how [high|large|big] is {n}\nwhat number is {n}\nhow much is {n}\nwhich number stands for {n}",
    "distance": "how [long|large|big|great] is {n}\nhow far is {n}\nhow much is {n}\nhow many [metres|centimetres|miles|kilometres] is {n}",
    "weight": "how [large|heavy|big|great] is {n}\nhow much is {n}\nhow many [kilograms|tonnes|litres] is {n}",
    "temperature": "how [high|hot|cold] is {n}\nat what temperature is {n}\nhow many degrees is {n}",
    "company": "which [company|firm] is {n}\nwho is {n}\nwhat company is {n}\nwhat is the name of {n}",
    "who": WHO_FRAMES,
    "person": WHO_FRAMES,
    "role": WHO_FRAMES,
}
_TYPED_AS = {"place": "where", "room": "where"}
_frames = split(FRAMES)
_typed_frames = {value: split(block) for value, block in TYPED_FRAMES.items()}


def pick(rng: Random, wordings: Wordings, held_out: bool) -> str:
    """Draw a wording, then one of the things it can say."""
    options: Sequence[Sequence[str]] = wordings.held_out if held_out else wordings.train
    said = options[int(rng.random() * len(options))]
    return said[int(rng.random() * len(said))]


def ask(rng: Random, relation: Relation, subject: Subject, held_out: bool) -> str:
    """Ask for a subject's value of a relation."""
    slots = subject.refer_asking(rng)
    slots["k"] = subject.bare if rng.random() < 0.4 else subject.refer(rng)["s"]
    if relation.attribute:
        slots["a"] = relation.attribute
        slots["an"] = f"{article(relation.attribute)} {relation.attribute}"
    line = pick(rng, relation.questions, held_out)
    if line[0] == "{":
        slots["k"] = subject.bare
    return finish(rng, line, slots, relation.value, held_out)


def finish(rng: Random, line: str, slots: Mapping[str, str], value: str, held_out: bool) -> str:
    """Fill a question wording and write it as somebody would."""
    if line[0] == "=":
        typed = _typed_frames.get(_TYPED_AS.get(value, value))
        frame = pick(rng, typed if typed and rng.random() < 0.4 else _frames, held_out)
        keyword = frame == "{n}"
        text = frame.format(n=fill(line[1:], slots))
    else:
        keyword = line[0] == "{"
        text = fill(line, slots)
    text = text.replace("  ", " ")
    if not keyword or rng.random() < 0.5:
        text = text[0].upper() + text[1:]
    if text[-1] != "." and (not keyword or rng.random() < 0.5):
        text += "?"
    return as_typed(rng, text)


def quoting(rng: Random, question: str) -> str:
    """Ask for the sentence instead of the answer."""
    return QUOTING[int(rng.random() * len(QUOTING))].format(q=question)


def as_typed(rng: Random, text: str) -> str:
    """Write a question as people type: in small letters, without its mark, politely, or with two letters swapped."""
    roll = rng.random()
    if roll < 0.06:
        text = text.lower()
    elif roll < 0.10:
        text = text.rstrip("?.").lower() if roll < 0.08 else text.rstrip("?.")
    elif roll < 0.18:
        before, after = POLITE[int(rng.random() * len(POLITE))]
        if before.endswith(", "):
            text = text[0].lower() + text[1:] if not text.startswith("I ") else text
        text = before + text + after
    elif roll < 0.2:
        place = rng.randrange(1, len(text) - 2)
        if text[place : place + 2].isalpha():
            text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text
