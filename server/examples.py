"""Worked examples for models that answer better after seeing some: HRM_PROMPT_EXAMPLES takes the first few.

They show the three things that matter: a short span, a figure among near misses, and saying that it is not there.
"""

from hrm_model.template import UNANSWERABLE, Shot, Source

EXAMPLES = (
    Shot(
        sources=(Source("Harbour office", "The harbour office in Velmar opens at seven. Its master is Ines Karolan."),),
        question="Who is the master of the harbour office in Velmar?",
        answer="Ines Karolan",
    ),
    Shot(
        sources=(
            Source("Ferry fares", "A single crossing costs 14 crowns. A return ticket costs 25 crowns."),
            Source("Ferry rules", "Bicycles travel free of charge on weekdays."),
        ),
        question="How much is a return ticket for the ferry?",
        answer="25 crowns",
    ),
    Shot(
        sources=(Source("Lighthouse", "The lighthouse of Orm was built in 1871 and is painted white."),),
        question="How tall is the lighthouse of Orm?",
        answer=UNANSWERABLE,
    ),
    Shot(
        sources=(Source("", "Nets are mended on Tuesdays. Boats are painted in March, after the last frost."),),
        question="When are the boats painted?",
        answer="in March, after the last frost",
    ),
)
