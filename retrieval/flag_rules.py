"""What gives away text that was written for a language model: patterns over text as `retrieval.flags.plain` makes it.

Each takes time in proportion to the text, whatever it says: what repeats is bounded. A blank stands for a few of any.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.types import FlagKind


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and pieces of which one stands in whatever it matches: only around those is it tried, as that is many
    times faster than trying it everywhere."""

    kind: FlagKind
    words: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(kind: FlagKind, words: tuple[str, ...], *alternatives: str) -> Rule:
    joined = "|".join(alternatives).replace(" ?", r"\s{0,8}").replace(" ", r"\s{1,8}")
    return Rule(kind, words, re.compile(joined, re.MULTILINE))


_NAMED = r"llms?|chat ?bots?|chatgpt|gpt-?\d?|claude|gemini|copilot"
_MACHINE = (
    rf"\b(?:a\.?i\.?(?: (?:assistant|model|system|reviewer|agent|bot)s?)?|(?:large )?language models?|{_NAMED})\b"
)
_DISMISS = (
    r"\b(?:ignor|disregard|forget|discard|override|overrul|bypass|stop follow|do not follow|don't follow)(?:e|ing)?"
)
_RULES = r"(?:instruction|guideline|prompt|rule|direction|restriction)s?"
_EARLIER = r"(?:previous|prior|earlier|preceding|above|former|foregoing|original|initial)"
_EARLIER_RULES = rf"(?:{_EARLIER} (?:\w+ )?{_RULES}\b|{_RULES} (?:above|before this))"
_ACT = (
    r"(?:please|you|whenever|when|if|before|always|never|do not|don't|must|rate|rank|say|state|answer|respond|reply|"
    r"recommend|approve|ignore|print|output|write|tell|treat|append|use only)"
)
_SUMMING = r"(?:reading|reads?|processing|processe?s?|summari[sz](?:es?|ing)|parsing|parses|reviewing|seeing|sees)"
_OUTPUT = r"(?:answer|response|reply|output|summary)"

RULES: Sequence[Rule] = (
    _rule(
        "instruction",
        ("ignor", "disregard", "forget", "discard", "overr", "bypass", "follow"),
        rf"{_DISMISS} (?:\w+ ){{0,2}}?(?:all |any |the |of |your |my |these |those ){{0,5}}{_EARLIER_RULES}",
        rf"{_DISMISS} (?:all |any |every one of )?(?:of )?your (?:\w+ )?{_RULES}\b",
        rf"{_DISMISS} (?:everything|anything|all|all of)?(?: ?the text| ?that)?(?: ?is| ?was| ?came| ?stands)?"
        r" ?(?:the )?above\b(?!-| (?:the line|a certain|section))",
        rf"{_DISMISS} (?:everything|anything|what) you (?:were|have been) told",
        rf"{_DISMISS} (?:the )?(?:user(?:'?s)? (?:question|request|query|message|and)|question and)\b",
    ),
    _rule(
        "instruction",
        ("instruction", "task", "goal", "role", "objective", "purpose"),
        rf"\bnew (?:instruction|task|role|goal|objective)s? ?: ?{_ACT}\b",
        r"\bfollow these (?:new )?instructions instead",
        r"\binstructions (?:that )?you (?:received|were given|got)\b",
        r"\binstructions no longer apply to you\b",
        r"\byour (?:new|only|real|true) (?:task|goal|role|purpose|instructions?) (?:is|are)\b",
    ),
    _rule(
        "instruction",
        (
            " ai",
            "\nai",
            "(ai",
            '"ai',
            " a.i",
            "\na.i",
            "language model",
            "llm",
            "chatbot",
            "chat bot",
            " bot",
            "gpt",
            "claude",
            "gemini",
            "copilot",
            "assistant",
            "filtered",
            "unrestricted",
            "uncensored",
            "jailbroken",
        ),
        rf"(?:^|[.!?:] ?)(?:\w+,? )?(?:note |message |instructions? )?(?:to |for |dear )?(?:the |all |any )?"
        rf"(?:{_MACHINE}|dear assistant) ?[:,!] ?{_ACT}\b",
        rf"(?:^|[.!?:] ?)(?:note|message|instructions?) (?:to|for) (?:the |all |any )?{_MACHINE}",
        rf"(?:{_MACHINE}|\bassistants?) (?:that |which |who )?(?:is |are )?{_SUMMING} this\b",
        rf"{_MACHINE} (?:must|should|shall) \w+ this (?:paper|document|text|page|application|cv|candidate|supplier)\b",
        r"\byou are (?:now |no longer )?(?:an? |the )?(?:\w+ )?(?:ai|chat ?bot|language model|llm)\b",
        r"\byou are (?:now |no longer )?an? (?:helpful|virtual|digital|unrestricted|obedient) assistant\b",
        r"\bas an? (?:ai|language model)(?: \w+)?,? you\b",
        r"\b(?:unrestricted|uncensored|jailbroken|unfiltered) (?:ai|model|assistant|bot)\b",
    ),
    _rule(
        "instruction",
        ("from now on", "now act", "now beh", "now an", "now resp", "now pret", "as if you", "without any", "pretend"),
        r"\bfrom now on,? you (?:are|act|behave|answer|respond|will (?:be|act|behave|answer))\b"
        r"(?! (?:required|entitled|responsible|allowed|obliged|asked|insured|covered|able|free|an? member))",
        r"\byou (?:will|shall|must) now (?:act|behave|answer|respond|pretend)\b",
        r"\b(?:act|answer|behave|respond) as if you had no\b",
        r"\b(?:answer|respond|reply) without any (?:limit|restriction|filter|guideline|rule)s?\b",
        r"\bpretend that (?:the |all )?other (?:document|source|passage|text)s\b",
    ),
    _rule(
        "instruction",
        ("the user",),
        r"\b(?:do not|don't|never) (?:tell|inform|let|warn|alert) the user\b",
        r"\b(?:do not|don't|never) answer the user\b",
        r"\bwhatever the user (?:asks|says|writes)\b",
        r"\bask the user to (?:click|send|enter|open|visit)\b",
    ),
    _rule(
        "instruction",
        (
            "your answer",
            "your resp",
            "your reply",
            "your output",
            "your summ",
            "the word",
            "question",
            "summar",
            "translat",
            "you are asked",
        ),
        rf"\b(?:do not|don't|never) (?:mention|state|say|reveal) [^.\n]{{0,60}} in your {_OUTPUT}\b",
        r"\b(?:append|add|include|insert) [^.\n]{0,30}\b(?:link|url|image)\b[^.\n]{0,30}"
        rf" (?:to|in) your {_OUTPUT}\b",
        rf"\bin your {_OUTPUT}\b[^.\n]{{0,40}}\b(?:link|url)\b",
        r"\b(?:answer|respond|reply|output|say)(?: \w+){0,4}? the word\b",
        r"\b(?:answer|reply to|respond to) (?:every|all|each|any) questions? with\b",
        r"\banswer to (?:all|every|each|any) questions? is\b",
        r"\bwhen(?:ever)? (?:you (?:are )?)?(?:summari[sz]\w{1,4}|translat\w{1,4}) this\b",
        r"\bwhenever you are asked about [^.\n]{1,40} say\b",
    ),
    _rule(
        "instruction",
        ("prompt", "instructions", "above", "message"),
        r"\b(?:reveal|print|repeat|show|output|disclose|display|leak) (?:\w+ ){0,3}?"
        r"(?:system|hidden|initial|secret) (?:prompt|instructions|message)\b",
        r"\brepeat (?:\w+ )?(?:text|words|everything|instructions) above\b",
        r"\bincluding your (?:\w+ )?instructions\b",
    ),
    _rule(
        "role_marker",
        ("system", "instruction", "assistant"),
        r"^ ?</?(?:system|assistant|instructions?)>",
        r"^### ?(?:system|instructions?)\b ?:?$",
    ),
    _rule(
        "control_token",
        ("<|", "inst]", "<</", "<<s", "_of_turn", "</s>"),
        r"<\|[a-z0-9_]{2,40}\|>",
        r"\[/?inst\]",
        r"<</?sys>>",
        r"<(?:start|end)_of_turn>",
        r"</s> ?<s>",
    ),
    _rule(
        "forged_citation",
        ("【", "†", "url_citation", "/v1/files/", "#char="),
        r"【\d{1,3}(?::\d{1,3})?(?:†[^】]{0,80})?】",
        r"\[\d{1,3}(?::\d{1,3})?†[^\]\n]{0,80}\]",
        r"\"url_citation\"",
        r"/v1/files/file-[0-9a-f]{6,40}",
        r"#char=\d{1,9},\d{1,9}",
    ),
)

# A turn of a conversation. One alone is a label; the machine's beside another's is a dialogue.
TURN = re.compile(r"^(?:#{1,4} ?)?(system|developer|user|human|assistant|ai|bot|instruction|response) ?:", re.MULTILINE)
SPEAKS = frozenset({"assistant", "ai", "bot", "response"})

# Texts about such texts: what stands in quotes near one of these words is mentioned, and tells nobody to do it.
MENTION = re.compile(
    r"\b(?:attack\w{0,3}|injection|phrases?|such as|for example|e\.g\.|for instance|examples?|malicious|called"
    r"|wording)\b"
)
QUOTES = re.compile(r"[\"“”„«»]")

BLOB = re.compile(r"[A-Za-z0-9+/_-]{32,8192}={0,2}")
ORDER_TO_DECODE = re.compile(r"\b(?:decode|execute|follow|interpret|run)\s{1,8}[^.\n]{0,30}\bbase64\b[^.\n]{0,60}$")
