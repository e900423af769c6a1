"""A sentence of an answer beside a sentence of a document, as the embedding model is asked about them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """Does `source` say what `answer` says?"""

    question: str
    answer: str  # one sentence of it
    source: str  # one sentence of a document
    title: str = ""  # what it stands under
    before: str = ""  # the sentence before it, which a pronoun may point to
