"""Events put together freely: somebody does something to something, somewhere, at some time; any part can be asked."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from hrm_model.training.grounded.asking import finish, pick
from hrm_model.training.grounded.subjects import Subject, Subjects
from hrm_model.training.grounded.values import VALUES
from hrm_model.training.grounded.wording import listed, split

REGULAR = listed("""
inspect repair clean deliver return check open close replace order cancel record report register collect install
remove test translate publish photograph paint pack label scan sort weigh measure audit review approve reject transfer
rent borrow visit examine assemble destroy renew update present discuss announce sponsor donate restore discover
describe count load unload print stamp archive encrypt export import move lock unlock calibrate adjust demand accept
confirm correct complete prepare plant harvest wash polish dismantle design test-drive evaluate research map mark
certify insure value auction exhibit store guard supervise arrange request reserve finance negotiate postpone evacuate
rescue escort interview train hire promote warn greet assist invite contact follow recommend protect survey explain
question nominate
""")
IRREGULAR = {
    "buy": ("bought", "bought"), "sell": ("sold", "sold"), "write": ("wrote", "written"), "send": ("sent", "sent"), "build": ("built", "built"),
    "find": ("found", "found"), "lose": ("lost", "lost"), "draw": ("drew", "drawn"), "choose": ("chose", "chosen"), "hide": ("hid", "hidden"),
    "take": ("took", "taken"), "steal": ("stole", "stolen"), "lend": ("lent", "lent"), "bring": ("brought", "brought"), "hold": ("held", "held"),
    "make": ("made", "made"), "break": ("broke", "broken"), "sign": ("signed", "signed"), "win": ("won", "won"), "throw away": ("threw away", "thrown away"),
    "hand over": ("handed over", "handed over"), "pick up": ("picked up", "picked up"), "pay for": ("paid for", "paid for"), "look after": ("looked after", "looked after"),
}  # fmt: skip
MODALS = ("must", "may", "can", "will", "should", "has to", "did", "did", "did", "did", "does", "does")
DOUBLING = frozenset(("plan", "scan", "map", "transfer"))

SAYS_DONE = """
{A} {past} {O} {x} {w}
{A} {past} {O} {x} {w}
{O} was {pp} by {A} {x} {w}
it was {A} who {past} {O} {x} {w}
{O} {x} was {pp} by {A} {w}
{A} has {pp} {O} {x} {w}
{A} [also|already|then|finally|recently|just] {past} {O} {x} {w}
{O} had been {pp} by {A} {x} {w}
{O}, which was {pp} by {A} {x} {w}, stayed the same
"""
FRONTS_DONE = """
{X}, {A} {past} {O} {w}
{X}, {O} was {pp} by {A} {w}
"""
SAYS_DOES = """
{A} {present} {O} {x} {w}
{O} is {pp} by {A} {x} {w}
it is {A} who {present} {O} {x} {w}
{A} [usually|always|regularly|also|often] {present} {O} {x} {w}
{A} [normally|sometimes|only|still] {present} {O} {x} {w}
{O} is [usually|always|also|regularly] {pp} by {A} {x} {w}
{A} {present} not only the rest but also {O} {x} {w}
"""
FRONTS_DOES = """
{X}, {A} {present} {O} {w}
{X}, {O} is {pp} by {A} {w}
"""
SAYS_MODAL = """
{A} {m} {base} {O} {x} {w}
{O} {m} be {pp} by {A} {x} {w}
it is {A} who {m} {base} {O} {x} {w}
{A} {m} [always|also|only|first|at once] {base} {O} {x} {w}
{A} {m} not only watch but also {base} {O} {x} {w}
nobody but {A} {m} {base} {O} {x} {w}
"""
FRONTS_MODAL = """
{X}, {A} {m} {base} {O} {w}
{X}, {O} {m} be {pp} by {A} {w}
"""
ASKS_AGENT = {
    "did": "who {past} {O}\nby whom was {O} {pp}\n=the one who {past} {O}\nwho was it that {past} {O}\nwho was {O} {pp} by",
    "does": "who {present} {O}\nby whom is {O} {pp}\n=the one who {present} {O}\nwhose job is it to {base} {O}\nwho is {O} {pp} by",
    "modal": "who {m} {base} {O}\nby whom {m} {O} be {pp}\n=the one who {m} {base} {O}\nwho is it that {m} {base} {O}\nwho {m} {O} be {pp} by",
}
ASKS_OBJECT = {
    "did": "what did {A} {base}\nwhat was {pp} by {A}\nwhich thing did {A} {base}\nwhat was it that {A} {past}\n=the thing that {A} {past}",
    "does": "what does {A} {base}\nwhat is {pp} by {A}\nwhich thing does {A} {base}\nwhat is it that {A} {present}\n=the thing that {A} {present}",
    "modal": "what {m} {A} {base}\nwhat {m} be {pp} by {A}\nwhich thing {m} {A} {base}\nwhat is it that {A} {m} {base}\n=the thing that {A} {m} {base}",
}
ASKS_ADVERB = {
    "did": "{q} did {A} {base} {O}\n{q} was {O} {pp}\n{q} was {O} {pp} by {A}\n{q} did {A} {base} it, {O}\n{q} did someone {base} {O}",
    "does": "{q} does {A} {base} {O}\n{q} is {O} {pp}\n{q} is {O} {pp} by {A}\n{q} does one {base} {O}\n{q} is it that {A} {present} {O}",
    "modal": "{q} {m} {A} {base} {O}\n{q} {m} {O} be {pp}\n{q} {m} {O} be {pp} by {A}\n{q} {m} someone {base} {O}\n{q} is it that {A} {m} {base} {O}",
}
# part: (preposition, value type, question words)
ADVERBS: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "place": ("in", "where", ("where", "where", "in which place", "in what place")),
    "date": ("on", "date", ("when", "when", "on which date", "on what day")),
    "time": ("at", "time", ("when", "at what time", "at what hour")),
    "deadline": ("within", "duration", ("within what time", "how quickly", "how soon", "within how long")),
    "instrument": ("with", "tool", ("with what", "how", "by what means", "using what")),
    "recipient": ("for", "company", ("for whom", "for which company", "for which client")),
    "reason": ("because of", "reason", ("why", "why", "for what reason", "because of what")),
    "frequency": ("", "frequency", ("how often", "how often", "how frequently", "at what intervals")),
    "price": ("for", "money", ("for how much", "at what price", "for what sum")),
    "year": ("in", "year", ("when", "in which year", "in what year")),
    "origin": ("from", "place", ("from where", "from which town", "from what place")),
}
WHEN = frozenset(("date", "time", "year", "deadline"))
_says = {"did": split(SAYS_DONE), "does": split(SAYS_DOES), "modal": split(SAYS_MODAL)}
_fronts = {
    "did": split(FRONTS_DONE),
    "does": split(FRONTS_DOES),
    "modal": split(FRONTS_MODAL),
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One event. `parts` maps each adverb that is told to its value."""

    agent: str
    verb: str
    thing: str
    modal: str
    parts: Mapping[str, str]

    @property
    def mood(self) -> str:
        """Which set of wordings it takes."""
        return self.modal if self.modal in ("did", "does") else "modal"


def invent(
    rng: Random, subjects: Subjects, *, agent: str = "", verb: str = "", thing: str = "", adverbs: int = 2
) -> Clause:
    """Put an event together, keeping what is given."""
    parts: dict[str, str] = {}
    names = list(ADVERBS)
    for _ in range(rng.randrange(adverbs + 1)):
        name = names[int(rng.random() * len(names))]
        if (
            name not in parts
            and not (name in WHEN and WHEN & parts.keys())
            and not (name == "recipient" and "price" in parts)
        ):
            parts[name] = VALUES[ADVERBS[name][1]](rng, subjects.words)
    if not agent:
        agent = (
            VALUES["who"](rng, subjects.words)
            if rng.random() < 0.7
            else _actor(subjects.draw(rng, ("company", "people", "body")))
        )
    verbs = REGULAR if rng.random() < 0.8 else list(IRREGULAR)
    return Clause(
        agent=agent,
        verb=verb or verbs[int(rng.random() * len(verbs))],
        thing=thing or f"the {subjects.draw(rng, ('thing', 'thing', 'facility')).bare}",
        modal=MODALS[int(rng.random() * len(MODALS))],
        parts=parts,
    )


def tell(rng: Random, clause: Clause, held_out: bool) -> str:
    """Write the event as a clause, without its capital letter and full stop."""
    slots = _slots(clause)
    adverbs = [f"{ADVERBS[name][0]} {value}".strip() for name, value in clause.parts.items()]
    rng.shuffle(adverbs)
    is_fronted = bool(adverbs) and rng.random() < 0.4
    line = pick(rng, (_fronts if is_fronted else _says)[clause.mood], held_out)
    front = adverbs.pop() if is_fronted else ""
    middle = adverbs.pop() if adverbs and "{x}" in line else ""
    return " ".join(line.format(**slots, X=front, x=middle, w=" ".join(adverbs)).replace(" ,", ",").split())


def ask(rng: Random, clause: Clause, part: str, held_out: bool) -> str:
    """Ask for one part: `agent`, `object`, or the name of an adverb, told or not."""
    slots = _slots(clause)
    if clause.modal == "has to":  # which cannot stand before its subject
        slots["m"] = "must"
    asks = {"agent": ASKS_AGENT, "object": ASKS_OBJECT}.get(part, ASKS_ADVERB)
    if part in ADVERBS:
        options = ADVERBS[part][2]
        slots["q"] = options[int(rng.random() * len(options))]
    return finish(rng, pick(rng, split(asks[clause.mood]), held_out), slots, "who" if part == "agent" else "", held_out)


def _actor(subject: Subject) -> str:
    return subject.bare if subject.kind == "company" else f"the {subject.bare}"


def past(verb: str) -> tuple[str, str]:
    """Return the past tense and the participle."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith("e"):
        spelled = verb + "d"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        spelled = verb[:-1] + "ied"
    elif verb in DOUBLING:
        spelled = verb + verb[-1] + "ed"
    else:
        spelled = verb + "ed"
    return spelled, spelled


def _present(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    if first.endswith(("s", "sh", "ch", "x")):
        first += "es"
    elif first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "s"
    return f"{first} {rest}".strip()


def _slots(clause: Clause) -> dict[str, str]:
    done, participle = past(clause.verb)
    return {
        "A": clause.agent,
        "O": clause.thing,
        "base": clause.verb,
        "past": done,
        "pp": participle,
        "present": _present(clause.verb),
        "m": clause.modal,
    }
