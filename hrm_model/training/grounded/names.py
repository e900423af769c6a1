"""Invented words for people, companies, places and products, in two pools that share no word.

A word's pool follows from a checksum of its spelling, so the pools stay apart whatever order they are drawn in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from zlib import crc32

from hrm_model.training.grounded.wording import listed

ONSETS = listed("""
b br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sch sh sk sl sm sn sp st str sv t th tr v w wh y
z
""")
VOWELS = listed("""
a a a e e e i i o o u ai au ea ee ei ia ie io oa oo ou ue y
""")
CODAS = listed("""
b ck d f g k l ld lf ll lm ln lt m mb mp n nd ng nk nn nt p r rd rg rk rl rm rn rs rt s sk sp ss st t th v x z
""")
PERSON_ENDINGS = listed("""
a an ard as ek el en er ert es ic in ina is o on or ova ow sen son ström ska ton us vic wald
""")
PLACE_ENDINGS = listed("""
bach berg bourne bridge brook burg bury by dale don field ford fort ham haven holm hurst ia land lea ley mark mere
minster mouth pool port stead ton vale ville wick wood worth
""")
PRODUCT_ENDINGS = listed("""
a an ax eon era ex ia ic ify io is ix ium o on or ora os ra um us yx
""")
COMPANY_TAILS = listed("""
Insurance Group Ltd AG GmbH Holdings Partners Logistics Bank Foods Labs Systems Consulting Energy Motors Media Works
Industries Software Clinic Foundation Hotels Airlines Pharma Security Services Trust University Institute
""")
PLACE_TAILS = listed("""
Street Road Lane Square House Tower Park Hill Bay River Lake Valley Island Castle Station Bridge
""")
PRODUCT_TAILS = listed("""
Pro Plus One Desk Flow Hub Cloud Mail Pay Track Scan Vault Sign Box Suite Go 2 3 X Mini Portal
""")
FIRST_NAMES = listed("""
Adam Agnes Ahmed Aisha Alan Alice Amara Amir Ana Andrei Anita Anna Anton Astrid Beatriz Ben Boris Carla Carlos Cecilia
Chen Clara Colin Daniel Daria David Diana Dmitri Edith Elena Elif Emil Emma Erik Eva Fatima Felix Fiona Frank Gabriel
George Greta Hana Hannah Hassan Helen Henrik Hugo Ibrahim Ida Igor Ingrid Irene Ivan Jack Jan Jana Jens Joan John
Jonas Jorge Julia Karim Karl Kate Kenji Lars Laura Lea Leo Lena Lin Liam Lucia Lukas Magnus Maja Marco Maria Marie
Mark Marta Martin Mateo Max Maya Mei Mia Milan Mira Mohamed Nadia Naomi Nils Nina Noah Nora Olga Oliver Omar Oscar
Otto Paul Paula Pavel Pedro Petra Priya Rafael Rahel Ravi Rosa Ruth Sam Sandra Sara Sergei Silvia Simon Sofia Stefan
Susan Tanja Tariq Theo Thomas Tim Tomas Ulrike Vera Victor Viktor Wei Yara Yusuf Zoe
""")
HELD_OUT_OF = 8  # one word in eight is never seen in training


@dataclass(frozen=True, slots=True)
class Words:
    """Invented words by what they can name."""

    first: Sequence[str]
    last: Sequence[str]
    place: Sequence[str]
    company: Sequence[str]
    product: Sequence[str]


def is_held_out(word: str) -> bool:
    """Say whether a word is kept out of training."""
    return crc32(word.lower().encode()) % HELD_OUT_OF == 0


@cache
def words(held_out: bool) -> Words:
    """Return the pool of one side; drawing it takes about a second, once."""
    rng = Random(20240601)
    size = 1500 if held_out else 10_000
    return Words(
        first=_pool(rng, PERSON_ENDINGS, size // 4, held_out),
        last=_pool(rng, PERSON_ENDINGS, size, held_out),
        place=_pool(rng, PLACE_ENDINGS, size, held_out),
        company=_pool(rng, PRODUCT_ENDINGS, size, held_out),
        product=_pool(rng, PRODUCT_ENDINGS, size, held_out),
    )


def person(rng: Random, pool: Words) -> str:
    """Invent a person's full name."""
    roll = rng.random()
    first = FIRST_NAMES[int(rng.random() * len(FIRST_NAMES))] if roll < 0.6 else rng.choice(pool.first)
    last = rng.choice(pool.last)
    if roll > 0.96:
        return f"Dr {last}" if roll > 0.98 else f"{first} {last}-{rng.choice(pool.last)}"
    return f"{first} {last}"


def place(rng: Random, pool: Words) -> str:
    """Invent a town, or a street or landmark in one."""
    name = rng.choice(pool.place)
    return f"{name} {rng.choice(PLACE_TAILS)}" if rng.random() < 0.25 else name


def company(rng: Random, pool: Words) -> str:
    """Invent an organisation."""
    return f"{rng.choice(pool.company)} {rng.choice(COMPANY_TAILS)}"


def product(rng: Random, pool: Words) -> str:
    """Invent a product or a system."""
    name = rng.choice(pool.product)
    roll = rng.random()
    if roll < 0.4:
        return f"{name} {rng.choice(PRODUCT_TAILS)}"
    return name + rng.choice(PRODUCT_TAILS) if roll < 0.5 else name


def _pool(rng: Random, endings: Sequence[str], size: int, held_out: bool) -> Sequence[str]:
    found: dict[str, None] = {}
    while len(found) < size:
        stem = rng.choice(ONSETS) + rng.choice(VOWELS)
        if rng.random() < 0.5:
            stem += rng.choice(CODAS[:12]) + rng.choice(VOWELS[:11])
        word = (stem + rng.choice(CODAS) + rng.choice(endings)).capitalize()
        if 4 <= len(word) <= 12 and is_held_out(word) == held_out:
            found[word] = None
    return tuple(found)
