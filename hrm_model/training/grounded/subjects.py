"""Subjects: what a fact is about, and the ways in which a sentence can refer to it."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from hrm_model.training.grounded import names
from hrm_model.training.grounded.nouns import article, plural, side
from hrm_model.training.grounded.values import VALUES

NAMED = ("person", "company", "place", "product")
COUNTABLE = ("thing", "event", "facility", "people", "body")

ONE: Mapping[str, str] = {"is": "is", "was": "was", "has": "has", "does": "does", "z": "s", "es": "es", "y": "ies"}
AM: Mapping[str, str] = {"is": "am", "was": "was", "has": "have", "does": "do", "z": "", "es": "", "y": "y"}
MANY: Mapping[str, str] = {"is": "are", "was": "were", "has": "have", "does": "do", "z": "", "es": "", "y": "y"}
INVENTED = 0.05  # of either word of a phrase: a reader must match words that it has never seen, too
PRONOUNS = {"person": ("she", "he"), "people": ("they",), "group": ("they",), "reader": ("they",)}
QUALIFIERS = (
    "above {money}", "below {money}", "in the {place} office", "in {place}", "signed before {year}", "opened after {date}", "longer than {duration}",
    "with less than {duration} of service", "from {place}", "at {company}", "run by {company}", "on {weekday}s", "outside {place}", "without a deposit",
    "under {company} rules", "older than {duration}", "issued in {year}", "for {company}", "of grade {count}", "paid in advance", "on probation", "under warranty",
)  # fmt: skip
# Whom rules are written for: how documents call them, and how they call themselves when they ask.
READERS: Sequence[tuple[str, str]] = (
    ("employees|staff|all employees|every employee|members of staff|our employees|you|the employees|colleagues", "I|I|employees|staff|we|an employee|a member of staff|someone who works here"),
    ("customers|policyholders|our customers|every customer|clients|you|the policyholder|the insured", "I|I|customers|a customer|policyholders|we|a client|the policyholder"),
    ("visitors|guests|every visitor|all visitors|our guests|anyone who visits us", "I|visitors|a visitor|guests|a guest"),
    ("applicants|candidates|every applicant|job applicants|those who apply", "I|applicants|a candidate|an applicant|candidates"),
    ("managers|team leaders|every manager|those who lead a team|supervisors", "managers|a manager|team leaders|I"),
    ("travellers|passengers|every traveller|people who travel|you", "I|travellers|a traveller|passengers|a passenger"),
    ("new starters|newcomers|new employees|everyone who joins us|new colleagues", "new employees|newcomers|a new employee|someone new|new starters"),
    ("members|every member|our members|all members|club members", "members|a member|I|we"),
    ("students|pupils|every student|all students|learners", "students|a student|I|pupils|learners"),
    ("suppliers|vendors|every supplier|our suppliers|contractors", "suppliers|a supplier|vendors|a vendor|we"),
    ("tenants|residents|every tenant|all residents|people who live here", "tenants|a tenant|I|residents|a resident"),
    ("patients|every patient|our patients|all patients|people in treatment", "patients|a patient|I"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that facts can be about.

    `key` is equal for two subjects exactly when a reader would take them for the same. `forms` are (text, is plural);
    questions use `asked` instead where it is given.
    """

    key: str
    kind: str
    forms: Sequence[tuple[str, bool]]
    bare: str
    short: str
    parts: tuple[str, str]
    asked: Sequence[tuple[str, bool]] = ()

    def refer(self, rng: Random) -> dict[str, str]:
        """Spell the subject in full, with what has to agree with it."""
        text, many = self.forms[int(rng.random() * len(self.forms))]
        return _slots(text, many)

    def refer_asking(self, rng: Random) -> dict[str, str]:
        """Spell the subject as whoever asks about it does."""
        forms = self.asked or self.forms
        text, many = forms[int(rng.random() * len(forms))]
        return _slots(text, many)

    def refer_back(self, rng: Random) -> dict[str, str]:
        """Spell the subject as one that the passage has already named."""
        many = self.kind in ("people", "group", "reader") or self.forms[0][1]
        if self.short and rng.random() < 0.4:
            return _slots(self.short, self.kind == "group")
        return _slots(rng.choice(PRONOUNS.get(self.kind, ("they",) if many else ("it",))), many)


class Subjects:
    """Draws subjects from one side of the words: those of training, or those kept out of it."""

    def __init__(self, held_out: bool) -> None:
        self.words = names.words(held_out)
        self._nouns = {kind: (side(kind, False), side(kind, held_out)) for kind in (*COUNTABLE, "mass")}
        self._modifiers = (side("modifier", False), side("modifier", held_out))

    def draw(self, rng: Random, kinds: Sequence[str]) -> Subject:
        """Invent a subject of one of these kinds."""
        kind = kinds[int(rng.random() * len(kinds))]
        if kind in NAMED:
            return named(kind, VALUES[kind](rng, self.words))
        if kind == "reader":
            return reader(*READERS[int(rng.random() * len(READERS))])
        # On the held-out side at least one of the two words is new; on the training side none is.
        new_noun = rng.random() < 0.5
        noun_kind = rng.choice(("thing", "people", "thing", "event")) if kind == "group" else kind
        noun = rng.choice(self._nouns[noun_kind][new_noun])
        modifier = rng.choice(self._modifiers[not new_noun])
        roll = rng.random()
        if roll < INVENTED:
            noun = rng.choice(self.words.product).lower()
        elif roll < 2 * INVENTED:
            modifier = rng.choice(self.words.product).lower()
        if kind == "group":
            return self._qualified(rng, modifier if rng.random() < 0.5 else "", noun, noun_kind)
        return common(kind, modifier, noun)

    def near(self, rng: Random, subject: Subject) -> Subject:
        """Invent another subject that shares a word with this one, or as good as that."""
        if subject.kind == "reader":
            return self.draw(rng, ("people",))
        first, last = subject.parts
        other = self.draw(rng, (subject.kind,))
        keep_first = rng.random() < 0.5
        if subject.kind in NAMED:
            if not (first and last):
                return other
            new = other.parts[0] or other.parts[1] if not keep_first else other.parts[1] or other.parts[0]
            return named(subject.kind, f"{first} {new}" if keep_first else f"{new} {last}")
        if subject.kind == "group":
            return self._requalified(rng, subject)
        return common(subject.kind, first, other.parts[1]) if keep_first else common(subject.kind, other.parts[0], last)

    def _qualified(self, rng: Random, modifier: str, noun: str, noun_kind: str) -> Subject:
        template = QUALIFIERS[int(rng.random() * len(QUALIFIERS))]
        slot = template[template.index("{") + 1 : template.index("}")] if "{" in template else ""
        qualifier = template.replace(f"{{{slot}}}", VALUES[slot](rng, self.words)) if slot else template
        head = f"{modifier} {plural(noun)}".strip()
        short = f"these {plural(noun)}"
        return Subject(
            f"{head} {qualifier}",
            "group",
            ((f"{head} {qualifier}", True),),
            f"{head} {qualifier}",
            short,
            (head, noun_kind),
        )

    def _requalified(self, rng: Random, subject: Subject) -> Subject:
        head, noun_kind = subject.parts
        template = self._qualified(rng, "", "case", noun_kind)
        qualifier = template.key.removeprefix("cases ")
        return Subject(
            f"{head} {qualifier}",
            "group",
            ((f"{head} {qualifier}", True),),
            f"{head} {qualifier}",
            subject.short,
            subject.parts,
        )


def named(kind: str, name: str) -> Subject:
    """Make a subject of a proper name."""
    first, _, last = name.partition(" ")
    short = {"company": "the company", "product": "the product", "place": "the town"}.get(kind, last)
    return Subject(name.lower(), kind, ((name, False),), name, short, (first, last))


def reader(told: str, asking: str) -> Subject:
    """Make a subject of those whom a rule is written for."""
    names_told, names_asking = told.split("|"), asking.split("|")
    return Subject(
        names_told[0],
        "reader",
        tuple(
            (name, not name.startswith(("every", "anyone", "everyone", "the insured", "the policyholder")))
            for name in names_told
        ),
        names_told[0],
        "",
        ("", names_told[0]),
        tuple((name, not name.startswith(("a ", "an ", "someone", "the "))) for name in names_asking),
    )


def common(kind: str, modifier: str, noun: str) -> Subject:
    """Make a subject of a modifier and a noun."""
    words = f"{modifier} {noun}"
    if kind == "mass":
        return Subject(words, kind, ((words, False), (f"the {words}", False)), words, f"the {noun}", (modifier, noun))
    many = f"{modifier} {plural(noun)}"
    a = f"{article(modifier)} {words}"
    forms: Sequence[tuple[str, bool]]
    if kind in ("thing", "people"):
        forms = (
            (a, False),
            (f"the {words}", False),
            (many, True),
            (many, True),
            (a, False),
            (f"every {words}", False),
            (f"each {words}", False),
        )
    elif kind == "event":
        forms = ((f"the {words}", False), (f"the {words}", False), (a, False), (f"the {words}", False), (many, True))
    else:
        forms = ((f"the {words}", False),)
    return Subject(words, kind, forms, words, f"the {noun}", (modifier, noun))


def _slots(text: str, many: bool) -> dict[str, str]:
    slots = dict(AM if text == "I" else MANY if many else ONE)
    slots["s"] = text
    slots["p"] = _POSSESSIVES.get(text) or (f"{text}'" if text.endswith("s") else f"{text}'s")
    return slots


_POSSESSIVES = {"it": "its", "they": "their", "she": "her", "he": "his", "I": "my", "we": "our", "you": "your"}
