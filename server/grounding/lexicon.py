"""What English words do to a claim: limit it, allow it, forbid it, mean the same or the opposite. Data and no rules."""

from server.grounding.words import listed


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(phrase.split()) for phrase in text.split("|"))


def _sets(lines: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(line.split()) for line in lines.strip().splitlines())


# A time before something is the least where it is named like this: "no later than a day before" is a day or more.
UNTIL = "until"
# Phrases that bound the value beside them, longest first. The key is what two wordings of one bound share.
BOUNDS: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    sorted(
        (
            (tuple(phrase.split()), key)
            for key, phrases in {
                "<=": "at most|at the most|no more than|not more than|no longer than|not longer than|not exceed"
                "|never exceed|no older than|not older than|not be older than|not be more than|not be longer than"
                "|not be larger than|no larger than|not be heavier than|no heavier than|not last longer than"
                "|not cost more than|not take longer than|maximum of|a maximum of|maximum|maximal|max|limited to"
                "|restricted to|capped at|limit|ceiling|cap|within|or less|as much as|as many as",
                UNTIL: "up to|no later than|not later than|at the latest",
                ">=": "at least|no less than|not less than|no fewer than|minimum of|a minimum of|minimum|min|smallest"
                "|or more|lowest|starting at",
                ">": "more than|over|above|larger than|greater than|longer than|older than|exceeding|exceeds|beyond"
                "|in excess of|bigger than",
                "<": "less than|under|below|younger than|fewer than|shorter than|smaller than",
            }.items()
            for phrase in phrases.split("|")
        ),
        key=lambda bound: -len(bound[0]),
    )
)
# What a text says may, must or should be done; a claim keeps it. What one needs to do one must do, but without the need
# it may still be done: "must not" forbids, and "need not" does not.
MODALS = {
    word: key
    for key, listed in {
        "may": "may might can could allowed permitted possible able entitled eligible allow permit",
        "must": "must shall",
        "need": "required need needs obliged mandatory compulsory obligatory require requires",
        "should": "should ought recommended advised advisable",
    }.items()
    for word in listed.split()
}
NEED_PHRASES = (("have", "to"), ("has", "to"), ("had", "to"), ("is", "to", "be"), ("are", "to", "be"))
# Each denies what it stands with; the first part says what is denied.
DENIALS = {
    **dict.fromkeys(listed("forbidden prohibited banned disallowed impermissible"), "may"),
    **dict.fromkeys(listed("impossible unable ineligible"), "may"),
    **dict.fromkeys(listed("exempt exempted optional"), "need"),
    **dict.fromkeys(listed("refused rejected denied declined"), "accept"),
    "uncovered": "cover",
    "uninsured": "insure",
    "free": "cost",
}
FREE_PHRASES = _phrases(
    "free of charge|for nothing|for free|without charge|without cost|at no charge|at no cost|cost nothing|costs nothing"
)
# Verbs and adverbs of several words, by the word that means the same; the first one is inflected.
PHRASES = {
    phrase: word
    for word, listed in {
        "immediately": "at once|straight away|right away|without delay",
        "care": "look after|care for",
        "return": "bring back|send back|give back|take back|hand back",
        "refund": "pay back|give money back",
        "collect": "pick up",
        "refuse": "turn down",
        "submit": "hand in|turn in",
        "inform": "let know|let us know|let you know|let them know",
        "complete": "fill in|fill out",
        "postpone": "put off",
        "extinguish": "put out",
        "contact": "get in touch with",
        "cancel": "call off",
        "phone": "call up|ring up",
        "workday": "working day|working days|business day|business days",
        "continuously": "around the clock|round the clock|day and night",
    }.items()
    for phrase in _phrases(listed)
}

# Irregular forms, and words that mean the same in rules, contracts and instructions.
ROOTS = {
    word: root
    for root, forms in {
        "pay": "paid pays payment payments payable", "keep": "kept", "lead": "led leads leader", "hold": "held",
        "give": "given gave", "take": "taken took", "send": "sent", "make": "made", "tell": "told", "run": "ran",
        "write": "written wrote", "choose": "chosen chose", "leave": "left", "lose": "lost", "buy": "bought",
        "shut": "shut", "find": "found", "become": "became", "begin": "begun began", "know": "known knew",
        "show": "shown", "bring": "brought", "rise": "rose risen", "fall": "fell fallen", "stand": "stood",
        "meet": "met", "sell": "sold", "build": "built", "draw": "drawn drew", "insure": "insured insurance insurer",
        "approve": "approval approved", "acknowledge": "acknowledgement", "cancel": "cancellation cancelled",
        "withdraw": "withdrawal withdrawn withdrew", "reimburse": "reimbursement", "apply": "application applies",
        "deliver": "delivery", "drive": "driving driven", "treat": "treatment", "value": "valuation",
        "notify": "notification", "renew": "renewal", "register": "registration", "reserve": "reservation",
        "refuse": "refusal", "subsidy": "subsidise subsidised subsidize subsidized", "replace": "replacement",
        "decide": "decision", "reduce": "reduction", "extend": "extension", "store": "storage",
        "collect": "collection", "repay": "repayment repaid", "arrive": "arrival", "depart": "departure",
        "confirm": "confirmation", "consume": "consumption", "inspect": "inspection", "install": "installation",
        "submit": "submission submitted", "participate": "participation", "examine": "examination",
        "compensate": "compensation", "delete": "deletion", "create": "creation", "restore": "restoration",
        "admit": "admission admitted", "absent": "absence", "child": "children", "person": "people persons",
        "man": "men", "woman": "women", "live": "living", "wear": "worn wore", "lend": "lent", "spend": "spent",
        "teach": "taught", "eat": "eaten ate", "break": "broken broke", "steal": "stolen stole",
        "forget": "forgotten forgot", "wash": "washing", "clean": "cleaning", "use": "usage",
    }.items()
    for word in forms.split()
}  # fmt: skip
SYNONYMS = _sets(
    """
    excess deductible
    leave vacation holiday
    notify report inform tell
    keep retain store archive
    delete erase
    cancel terminate end
    cancellation termination
    staff employee worker
    manager supervisor superior
    fee charge cost price
    cost expense
    purchase buy acquire
    begin start commence
    end finish expire
    doctor physician
    car vehicle automobile
    pay reimburse refund compensate
    customer client policyholder
    insure cover
    premium contribution
    send submit go
    annual yearly
    lead head run chair
    approve authorise authorize
    surgery operation
    stop halt
    pause suspend interrupt
    reply answer response
    locate hang stand situate
    beside next adjacent
    shut closed close
    thing item object
    vacancy opening position
    note record register
    reject refuse decline
    forward pass
    welcome admit
    enter admit
    repeat redo
    job position
    phone telephone call
    deadline period
    rise increase
    salary pay wage
    worth value
    illness sickness sick ill
    immediately instantly promptly forthwith
    submit leave deposit
    return submit
    collect fetch
    replace exchange swap
    current existing present
    poor inadequate insufficient
    liable responsible
    liability responsibility
    electricity power
    flat apartment
    bill invoice
    pupil schoolchild
    carry transport convey
    carriage transport
    arrive reach
    repair fix mend
    help assist
    choose select
    show present
    request apply ask
    change alter amend modify
    check inspect examine verify
    extend prolong
    reduce lower
    rubbish waste garbage trash
    faulty defective broken
    guarantee warranty
    rest relax
    trip journey
    contain comprise include
    big large
    small little
    mail post
    lorry truck
    participate attend
    companion escort
    complete fill
    obtain acquire
    wish want
    assistance help support
    previous former earlier
    additional extra further
    prior advance
    switch turn
    """
)
OPPOSITES = _sets(
    """
    open close
    begin end
    start finish
    arrive depart
    approve reject
    accept refuse
    buy sell
    purchase sale
    keep delete
    increase decrease
    rise fall
    minimum maximum
    before after
    include exclude
    internal external
    gross net
    sender recipient
    lender borrower
    landlord tenant
    employer employee
    staff employee worker manager director trainee apprentice intern contractor volunteer visitor
    buyer seller
    debit credit
    high low
    first last
    large small
    long short
    new old
    upper lower
    major minor
    used new
    outer inner
    front back rear
    visible hidden
    hot cold
    full empty
    heavy light
    early late
    earlier later
    up down
    uphill downhill
    spring summer autumn winter
    basic premium standard
    primary secondary
    domestic foreign
    paid unpaid
    written oral
    indoor outdoor
    indoors outdoors
    child adult pensioner student
    weekday weekend
    full-time part-time
    public private
    online offline
    arrive leave
    win lose
    add remove
    morning evening
    breakfast dinner
    single double
    pipe hose
    red blue green yellow black white grey orange
    monday tuesday wednesday thursday friday saturday sunday
    january february march april may june july august september october november december
    north south east west
    left right
    dog cat horse
    father mother brother sister
    """
)
# Names of what a sum or a time is: the same value under another of these names is another statement.
ROLES = frozenset(
    listed(
        """excess deductible limit maximum minimum premium fee charge fine penalty deposit notice probation
        warranty term interest discount salary bonus allowance waiting price cost rate tax dose rent supplement
        surcharge commission threshold balance loan overdraft leave vacation holiday
        pension severance reminder instalment"""
    )
)
# Verbs and nouns that carry a statement without being what it is about.
LIGHT = frozenset(
    listed(
        """get receive have obtain give grant provide offer amount total equal come be do make become happen exist use
        sum number figure time case way there respective respectively sure about place kind apply take carry itself
        themselves himself herself yourself ourselves own away still long"""
    )
)
CONDITIONS = frozenset(listed("if unless except only provided excluding"))
