"""Values by type: what a passage can say and a question can ask for, in the spellings that real documents use."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Callable, Mapping, Sequence
from random import Random

from hrm_model.training.grounded import names
from hrm_model.training.grounded.names import Words
from hrm_model.training.grounded.nouns import (
    CATEGORIES,
    COLOURS,
    DEPARTMENTS,
    ITEMS,
    MATERIALS,
    REASONS,
    ROLES,
    TOOLS,
    plural,
    side,
)
from hrm_model.training.grounded.wording import listed

NUMBERS = listed("""
two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty sixty ninety
""")
MONTHS = listed("""
January February March April May June July August September October November December
""")
WEEKDAYS = listed("""
Monday Tuesday Wednesday Thursday Friday Saturday Sunday
""")
CURRENCIES = ("euros", "euros", "euros", "dollars", "pounds", "francs", "kronor", "crowns")
SIGNS = ("€", "$", "£", "EUR ", "USD ", "CHF ", "GBP ")
COUNTED = listed("""
employees seats members rooms visitors users copies branches items pages votes vehicles boxes stations patients
students tickets windows samples cases
""")
DOMAINS = ("example.com", "example.org", "example.net")

Value = Callable[[Random, Words], str]


def _pick(options: Sequence[str], rng: Random) -> str:
    return options[int(rng.random() * len(options))]


def _amount(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.35:
        return str(rng.randrange(2, 100) * 5)
    if roll < 0.6:
        return str(rng.randrange(1, 1000))
    if roll < 0.85:
        return f"{rng.randrange(1, 400) * 250:,}"
    return f"{rng.randrange(1, 300)}.{rng.randrange(100):02d}"


def money(rng: Random, pool: Words) -> str:
    """A sum of money."""
    roll = rng.random()
    if roll < 0.05:
        return f"{rng.randrange(2, 90) / 10} million {_pick(CURRENCIES, rng)}"
    return f"{_amount(rng)} {_pick(CURRENCIES, rng)}" if roll < 0.6 else _pick(SIGNS, rng) + _amount(rng)


def percent(rng: Random, pool: Words) -> str:
    """A share."""
    number = f"{rng.randrange(1, 40) / 2:g}" if rng.random() < 0.3 else str(rng.randrange(1, 100))
    return number + _pick(("%", "%", " percent", " per cent"), rng)


def duration(rng: Random, pool: Words) -> str:
    """A length of time."""
    unit = _pick(
        (
            "days",
            "days",
            "weeks",
            "months",
            "years",
            "hours",
            "minutes",
            "working days",
            "calendar days",
            "business days",
        ),
        rng,
    )
    roll = rng.random()
    if roll < 0.06:
        return {
            "days": "one day",
            "weeks": "one week",
            "months": "one month",
            "years": "one year",
            "hours": "one hour",
        }.get(unit, "half an hour")
    return f"{_pick(NUMBERS[:12], rng) if roll < 0.35 else rng.randrange(2, 100)} {unit}"


def date(rng: Random, pool: Words) -> str:
    """A day, with or without its year."""
    day, month, year = rng.randrange(1, 29), _pick(MONTHS, rng), rng.randrange(1950, 2032)
    roll = rng.random()
    if roll < 0.45:
        return f"{day} {month} {year}"
    if roll < 0.6:
        return f"{day} {month}"
    if roll < 0.75:
        return f"{month} {day}, {year}"
    if roll < 0.85:
        return f"{WEEKDAYS[day % 7]}, {day} {month}"
    return f"{year}-{MONTHS.index(month) + 1:02d}-{day:02d}"


def year(rng: Random, pool: Words) -> str:
    """A year."""
    return str(rng.randrange(1750, 2031))


def time(rng: Random, pool: Words) -> str:
    """A time of day."""
    hour, minute = rng.randrange(24), rng.choice((0, 0, 15, 30, 45, 10, 20))
    roll = rng.random()
    if roll < 0.5:
        return f"{hour}:{minute:02d}" if roll < 0.3 else f"{hour:02d}:{minute:02d}"
    half = "a.m." if hour < 12 else "p.m."
    if roll < 0.6:
        return f"{hour % 12 or 12} o'clock"
    return (
        f"{hour % 12 or 12} {half[0]}m" if minute == 0 or roll < 0.8 else f"{hour % 12 or 12}:{minute:02d} {half[0]}m"
    )


def hours(rng: Random, pool: Words) -> str:
    """A range of times, with or without its days."""
    start, end = rng.randrange(6, 12), rng.randrange(13, 23)
    days = _pick(("", "", "", "Monday to Friday, ", "weekdays, ", "Saturdays, "), rng)
    roll = rng.random()
    if roll < 0.4:
        return f"{days}{start}:00 to {end}:30" if days else f"{start}:{_pick(('00', '30'), rng)} to {end}:00"
    if roll < 0.7:
        return f"{start} am to {end - 12} pm"
    return f"{start}:{_pick(('00', '15', '30'), rng)}-{end}:00"


def count(rng: Random, pool: Words) -> str:
    """A bare number."""
    roll = rng.random()
    if roll < 0.25:
        return _pick(NUMBERS, rng)
    return f"{rng.randrange(1000, 90000):,}" if roll < 0.4 else str(rng.randrange(2, 900))


def limit(rng: Random, pool: Words) -> str:
    """A bound with its words."""
    number = _pick(NUMBERS[:10], rng) if rng.random() < 0.5 else str(rng.randrange(2, 200))
    return f"{_pick(('at most', 'no more than', 'up to', 'at least', 'a maximum of', 'a minimum of'), rng)} {number}"


def email(rng: Random, pool: Words) -> str:
    """An address for e-mail."""
    name = _pick(("claims", "info", "help", "hr", "service", "payroll", "legal", rng.choice(pool.last).lower()), rng)
    return (
        f"{name}@{rng.choice(pool.company).lower()}.example" if rng.random() < 0.7 else f"{name}@{_pick(DOMAINS, rng)}"
    )


def phone(rng: Random, pool: Words) -> str:
    """A telephone number or an extension."""
    roll = rng.random()
    if roll < 0.3:
        return f"extension {rng.randrange(100, 9999)}"
    if roll < 0.7:
        return f"0{rng.randrange(100, 999)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
    return f"+{rng.randrange(20, 99)} {rng.randrange(10, 99)} {rng.randrange(100000, 9999999)}"


def code(rng: Random, pool: Words) -> str:
    """A reference: letters and digits."""
    letters = "".join(_pick(tuple("ABCDEFGHJKLMNPRSTUVWXZ"), rng) for _ in range(rng.randrange(1, 4)))
    number = rng.randrange(1, 10 ** rng.randrange(1, 6))
    return _pick(
        (
            f"{letters}-{number}",
            f"{letters}{number}",
            f"{letters} {number}",
            f"{number}/{letters}",
            f"{letters}-{number:03d}",
        ),
        rng,
    )


def url(rng: Random, pool: Words) -> str:
    """An address on the web."""
    page = _pick(("help", "claims", "forms", "start", "jobs", "login", "status", "news", "docs"), rng)
    host = rng.choice(pool.company).lower()
    return _pick((f"{page}.{host}.example", f"www.{host}.example/{page}", f"https://{host}.example/{page}"), rng)


def frequency(rng: Random, pool: Words) -> str:
    """How often something happens."""
    unit = _pick(("day", "week", "month", "quarter", "year"), rng)
    roll = rng.random()
    if roll < 0.2:
        return f"every {unit}"
    if roll < 0.5:
        return f"every {_pick(NUMBERS[:9], rng) if rng.random() < 0.6 else rng.randrange(2, 40)} {unit}s"
    if roll < 0.7:
        return f"{_pick(('once', 'twice', 'three times', 'four times'), rng)} a {unit}"
    return (
        f"every {_pick(WEEKDAYS, rng)}"
        if roll < 0.85
        else f"on the {_pick(('first', 'second', 'last'), rng)} {_pick(WEEKDAYS, rng)} of the month"
    )


def weekday(rng: Random, pool: Words) -> str:
    """A day of the week."""
    return _pick(WEEKDAYS, rng)


def room(rng: Random, pool: Words) -> str:
    """A spot inside a building."""
    number = rng.randrange(1, 500)
    return _pick(
        (
            f"room {number}", f"Room {number}", f"building {_pick(tuple('ABCDEFG'), rng)}", f"the {_pick(('first', 'second', 'third', 'fourth', 'fifth', 'ground', 'top'), rng)} floor",
            f"cabinet {number}", f"shelf {number}", f"hall {number % 20 + 1}", "the basement", "the mailroom", "the archive", f"gate {number % 60 + 1}", f"locker {number}",
            f"the {_pick(('east', 'west', 'north', 'south'), rng)} wing", f"the {_pick(COLOURS_PLAIN, rng)} cabinet", "the car park", "the reception desk", "the safe",
        ),
        rng,
    )  # fmt: skip


COLOURS_PLAIN = ("red", "blue", "green", "grey", "white", "yellow")


def distance(rng: Random, pool: Words) -> str:
    """A length."""
    number = f"{rng.randrange(10, 900) / 10:g}" if rng.random() < 0.3 else f"{rng.randrange(2, 5000):,}"
    return f"{number} {_pick(('metres', 'kilometres', 'km', 'centimetres', 'cm', 'miles', 'm', 'millimetres'), rng)}"


def weight(rng: Random, pool: Words) -> str:
    """A mass or a volume."""
    number = f"{rng.randrange(10, 900) / 10:g}" if rng.random() < 0.3 else f"{rng.randrange(2, 5000):,}"
    return f"{number} {_pick(('kg', 'kilograms', 'tonnes', 'grams', 'litres', 'pounds'), rng)}"


def temperature(rng: Random, pool: Words) -> str:
    """Degrees."""
    number = rng.randrange(-40, 400)
    return _pick((f"{number} degrees", f"{number} °C", f"{number} degrees Celsius"), rng)


def size(rng: Random, pool: Words) -> str:
    """An amount of data."""
    return f"{rng.randrange(1, 900)} {_pick(('MB', 'GB', 'TB', 'megabytes', 'gigabytes', 'characters', 'pages'), rng)}"


def role(rng: Random, pool: Words) -> str:
    """Somebody by office rather than by name."""
    return f"the {_pick(ROLES, rng)}"


def department(rng: Random, pool: Words) -> str:
    """A part of an organisation."""
    name = _pick(DEPARTMENTS, rng)
    return _pick((name, f"the {name} department", f"the {name} team"), rng)


def quantity(rng: Random, pool: Words) -> str:
    """A number with what it counts."""
    return f"{count(rng, pool)} {_pick(COUNTED, rng)}"


def _one_of(options: Sequence[str]) -> Value:
    return lambda rng, pool: options[int(rng.random() * len(options))]


def speed(rng: Random, pool: Words) -> str:
    """How fast something is."""
    return f"{rng.randrange(2, 900)} {_pick(('km/h', 'kilometres an hour', 'miles an hour', 'metres per second', 'knots', 'mph'), rng)}"


def power(rng: Random, pool: Words) -> str:
    """How much something draws."""
    return f"{rng.randrange(2, 900)} {_pick(('watts', 'kilowatts', 'kW', 'MW', 'horsepower', 'volts', 'kWh'), rng)}"


def profession(rng: Random, pool: Words) -> str:
    """What somebody was trained as."""
    return _pick(side("people", False), rng)


def month(rng: Random, pool: Words) -> str:
    """A month, with or without its year."""
    name = _pick(MONTHS, rng)
    return f"{name} {rng.randrange(1950, 2032)}" if rng.random() < 0.6 else name


def items(rng: Random, pool: Words) -> str:
    """One thing to bring along, or several."""
    roll = rng.random()
    if roll < 0.7:
        return _pick(ITEMS, rng)
    first, second, third = rng.sample(ITEMS, 3)
    return f"{first} and {second}" if roll < 0.9 else f"{first}, {second} and {third}"


def things(rng: Random, pool: Words) -> str:
    """Things of a kind, in the plural, one kind or two."""
    first = f"{_pick(side('modifier', False), rng)} {plural(_pick(side('thing', False), rng))}"
    if rng.random() < 0.75:
        return first
    return f"{first} and {_pick(side('modifier', False), rng)} {plural(_pick(side('event', False), rng))}"


def people(rng: Random, pool: Words) -> str:
    """People of a kind, in the plural."""
    head = plural(_pick(side("people", False), rng))
    roll = rng.random()
    if roll < 0.4:
        return f"{_pick(side('modifier', False), rng)} {head}"
    if roll < 0.6:
        return f"{head} from {names.place(rng, pool)}"
    if roll < 0.8:
        return f"{head} over {rng.randrange(16, 75)}"
    return f"{head} with {_pick(('children', 'a permanent contract', 'a valid badge', 'special training', 'at least two years of service', 'a written permit'), rng)}"


def who(rng: Random, pool: Words) -> str:
    """Whoever can act: a person, an office, or a department."""
    roll = rng.random()
    if roll < 0.55:
        return names.person(rng, pool)
    return role(rng, pool) if roll < 0.85 else department(rng, pool)


def where(rng: Random, pool: Words) -> str:
    """A town, or a spot in a building."""
    return room(rng, pool) if rng.random() < 0.6 else names.place(rng, pool)


VALUES: Mapping[str, Value] = {
    "money": money,
    "percent": percent,
    "duration": duration,
    "date": date,
    "year": year,
    "time": time,
    "hours": hours,
    "count": count,
    "limit": limit,
    "quantity": quantity,
    "email": email,
    "phone": phone,
    "code": code,
    "url": url,
    "frequency": frequency,
    "weekday": weekday,
    "room": room,
    "distance": distance,
    "weight": weight,
    "temperature": temperature,
    "size": size,
    "role": role,
    "department": department,
    "who": who,
    "where": where,
    "person": names.person,
    "place": names.place,
    "company": names.company,
    "product": names.product,
    "item": items,
    "thing": things,
    "people": people,
    "month": month,
    "speed": speed,
    "power": power,
    "profession": profession,
    "tool": _one_of(TOOLS),
    "material": _one_of(MATERIALS),
    "colour": _one_of(COLOURS),
    "category": _one_of(CATEGORIES),
    "reason": _one_of(REASONS),
}
