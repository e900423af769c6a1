"""The open relation: `the {attribute} of {subject} is {value}` for any attribute word, which the question must name."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from functools import cache
from random import Random

from hrm_model.training.grounded.names import Words
from hrm_model.training.grounded.relations.relation import ANYTHING, Relation
from hrm_model.training.grounded.wording import listed

SAYS = """
the {a} [of|for] {s} is {v}
the {a} [of|for] {s} [was set at|stands at|amounts to|was fixed at|comes to|was given as|was reported as] {v}
{s} {has} {an} of {v}
{p} {a} is {v}
{v} is the {a} [of|for] {s}
as {a} of {s}, [the list|the plan|the record] gives {v}
for {s}, the {a} is {v}
[they|we|the rules] [set|give|list|name] {v} as the {a} [of|for] {s}
with regard to {s}, the {a} [is|remains] {v}
{s} [{is} listed|{is} recorded|{is} entered] with {an} of {v}
{an} of {v} [applies to|was agreed for|was chosen for|was noted for|holds for] {s}
the {a} that [applies to|goes with|belongs to] {s} is {v}
in the case of {s}, {v} is the {a}
when it comes to {s}, the {a} is {v}
"""
ASKS = """
=the {a} [of|for] {s}
=the {a} that [applies to|belongs to|goes with] {s}
=the {a} [given|listed|recorded|named|set] for {s}
=the {a} [given|listed|recorded|named|set] for {s}
=the {a} in the case of {s}
[which|what] {a} {does} {s} have
[which|what] {a} [applies to|is given for|is listed for|was agreed for|holds for] {s}
{k} {a}
{a} [of|for|] {k}
what {is} {p} {a}
what about {s}: what is the {a}
with {s}, what is the {a}
"""
PLAIN = """
fee:money:price|surcharge:money|tariff:money|premium:money|deposit:money|rent:money|bonus:money|ransom:money|turnover:money|profit:money|loss:money|debt:money
grant:money|donation:money|commission:percent|margin:percent|tax:percent|tip:percent|yield:percent|humidity:percent|turnout:percent|quota:percent|occupancy:percent
accuracy:percent|vat:percent|lifetime:duration|delay:duration|term:duration|grace period:duration|trial period:duration|cooling-off period:duration
delivery time:duration|response time:duration|lead time:duration|running time:duration|probation:duration|half-life:duration|shelf life:duration|break:duration
anniversary:date|release date:date:start|birthday:date|opening day:date:start|appointment:date|delivery date:date|signing date:date|election day:date
password length:count|score:count|rank:count|grade:count|page count:count|circulation:count|attendance:count|quorum:count|dosage:weight|payload:weight
volume:weight|consumption:weight|harvest:weight|ration:weight|catch:weight|depth:distance|width:distance|length:distance|diameter:distance|altitude:distance:height
range:distance|clearance:distance|wingspan:distance|radius:distance|thickness:distance|melting point:temperature|boiling point:temperature|freezing point:temperature
chair:person:charge|treasurer:person|patron:person|mentor:person|spokesperson:person|author:person:origin|editor:person|witness:person|sponsor:company|tenant:who
landlord:who|referee:person|coach:person|captain:person|architect:person:origin|translator:person|contact:who:charge|caretaker:who|guardian:person|instructor:who
auditor:company|insurer:company|carrier:company|publisher:company|broker:company|contractor:company|partner:company|client:company|competitor:company
account number:code|serial number:code:code|file number:code:code|postcode:code|PIN:code|cost centre:code|tax number:code|customer number:code|form number:code:form
part number:code:code|flight number:code|room number:code|licence plate:code|passcode:code|barcode:code|clause:code|paragraph:code|grade code:code|model:product
hotline:phone:phone|fax number:phone|mobile number:phone:phone|extension:phone:phone|mailbox:email:email|web page:url:url|login page:url|help page:url
operating system:product|software:product|currency:material|raw material:material:material|coating:material|lining:material|flag:colour|label:colour|uniform:colour
ink:colour|risk class:category:category|security level:category:category|status:category:category|tax class:category|travel class:category|rating:category
meeting place:where:location|birthplace:place|origin:place|capital:place|port:place|crossing:place|assembly point:room|entrance:room|exit:room|desk:room
closing time:time|departure time:time|arrival time:time|curfew:time|check-in:time|check-out:time|lunch break:time|cut-off time:time|core hours:hours:hours
visiting hours:hours|payday:weekday|rest day:weekday|delivery day:weekday|review interval:frequency:frequency|payment schedule:frequency|backup cycle:frequency
minimum stay:duration|minimum age:duration:age|maximum speed:distance|motto:category|prerequisite:item:requirement|attachment:item|proof:item|side effect:reason
cause of failure:reason:reason|weak point:reason|main risk:reason|excuse:reason|instrument:tool|channel:tool:means|method:tool:means|backup device:tool
"""
QUALIFIERS = listed("""
annual monthly weekly minimum maximum average standard special initial final internal external official approved
estimated total net gross original temporary regional first second previous next public private daily preferred
alternative emergency
""")


def parse(listing: str) -> tuple[tuple[str, str, str], ...]:
    """Read `name:type` or `name:type:group` entries, separated by bars and line ends."""
    entries = [entry.split(":") for entry in listing.strip().replace("\n", "|").split("|")]
    return tuple((entry[0], entry[1], entry[2] if len(entry) > 2 else entry[0]) for entry in entries)


ATTRIBUTES = parse(PLAIN)
TYPES = tuple(dict.fromkeys(value for _, value, _ in ATTRIBUTES))


def attribute(rng: Random, words: Words) -> Relation:
    """Draw an attribute as a relation of its own: qualified now and then, or with a word that nobody knows."""
    roll = rng.random()
    if roll < 0.12:
        name = rng.choice(words.product).lower()
        value = TYPES[int(rng.random() * len(TYPES))]
        return Relation(f"attribute {name}", name, value, ANYTHING, name, SAYS, ASKS, name)
    index = int(rng.random() * len(ATTRIBUTES))
    return _relation(index, QUALIFIERS[int(rng.random() * len(QUALIFIERS))] if roll < 0.45 else "")


@cache
def _relation(index: int, qualifier: str) -> Relation:
    name, value, group = ATTRIBUTES[index]
    label = f"{qualifier} {name}".strip()
    return Relation(f"attribute {label}", group, value, ANYTHING, label, SAYS, ASKS, label, bool(qualifier))
