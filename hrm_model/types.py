"""The vocabulary of the engine port: what goes in, and the events that come out.

Standard library only, so that the HTTP layer can import it without loading torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Condition = Literal["direct", "cot", "noisy", "synth"]
FinishReason = Literal["stop", "length"]

# The composites that occur in HRM-Text's training data, in the order in which they were written.
TRAINED_CONDITIONS: frozenset[tuple[Condition, ...]] = frozenset(
    {
        ("direct",),
        ("cot",),
        ("noisy",),
        ("synth",),
        ("noisy", "direct"),
        ("synth", "cot"),
        ("synth", "direct"),
        ("synth", "noisy", "cot"),
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """An instruction in plain text, spelled for the model by `hrm_model.template`."""

    text: str
    condition: tuple[Condition, ...] = ("direct",)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids as they are; those from `prefix_len` on are the beginning of the answer.

    They are read causally, as if they had been drawn: the answer goes on after them as it would have, and where log
    probabilities are asked for, `Scored` has theirs. A first id without any prompt before it is read, and not scored.
    """

    ids: tuple[int, ...]
    prefix_len: int


Prompt = Question | Tokens


@dataclass(frozen=True, slots=True)
class Spelled:
    """A prompt as it reads back: its text, its ids, and the UTF-8 of each, which control tokens have none of."""

    text: str
    tokens: tuple[bytes, ...]  # perhaps parts of characters
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON text that a schema describes, itself given as JSON; `hrm_model.schema` says which keywords are known."""

    text: str


@dataclass(frozen=True, slots=True)
class Regex:
    """A text that matches as a whole, in the syntax of Rust's `regex`: without look-around and back-references."""

    pattern: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lark:
    """A text of a context-free grammar, in llguidance's variant of Lark; it begins at `start`."""

    text: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The name of one of these functions, a line break, and arguments that its schema describes.

    Attributes:
        functions: (name, JSON schema as JSON) of each; names are letters, digits, `_` and `-`.
    """

    functions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SpanOf:
    """A run of whole words of one of these texts, white space in it being one blank; or one of `options`.

    Attributes:
        leaning: what is added to the logits of the tokens that begin an option and no span.
    """

    texts: tuple[str, ...]
    options: tuple[str, ...] = ()
    leaning: float = 0.0


Grammar = JsonSchema | Regex | OneOf | Lark | FunctionCall


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    temperature 0 is greedy. A draw depends on (seed, choice, position) and on what has been said alone. Without a seed
    the engine picks one per request. max_tokens None: the engine's default, or what context and cache leave.

    The order is: `logit_bias`, the penalties, the ban of closing tokens, the grammar, temperature, `min_p`, `top_k`,
    `top_p`. What stands before temperature changes greedy answers too. Every default switches its part off.

    Attributes:
        min_p: tokens less likely than this share of the likeliest are not drawn.
        presence_penalty: taken once from the logit of each token that the answer holds.
        frequency_penalty: taken as often as the answer holds it.
        repetition_penalty: the logit of each token that prompt or answer hold is divided by it, or multiplied where
            it is below 0.
        logit_bias: (token, what is added to its logit).
        stop_token_ids: end the answer as the closing token does, without text.
        max_tokens: drawn at most, beside those that were given; 0 reads the prompt, and scores what was given.
        min_tokens: drawn tokens before which no closing token is drawn and no stop string counts; an answer that its
            grammar has completed ends all the same.
        ignore_eos: the checkpoint's closing token is never drawn.
        logprobs: alternatives reported beside each token, 0 to 20; None: no logprobs at all. They are the model's own,
            before anything above has changed them.
        grammar: what is drawn keeps to it, and ends when nothing may follow. Where `max_tokens` or a stop string end it
            earlier it is the beginning of such an answer.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    logprobs: int | None = None
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    grammar: Grammar | SpanOf | None = None

    @property
    def looks_back(self) -> bool:
        """Whether a draw depends on which tokens prompt and answer hold."""
        penalties = (self.presence_penalty, self.frequency_penalty, self.repetition_penalty)
        return penalties != (0, 0, 1)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One answer token in UTF-8, perhaps part of a character, how likely it was (natural log), and the likeliest
    alternatives."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The request has its pages: from here on it will end in exactly one terminal event per choice."""

    prompt_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """How likely each token of the answer's given beginning was, what stands before it being read; before any Text."""

    choice: int
    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer; never half a character, never part of a stop string.

    Beside it are the tokens that begin in it, but for one that closes the answer. Those that a stop string has cut off
    are counted, and are neither in `ids` nor in `logprobs`.
    """

    choice: int
    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one finished choice: those it was given, of prompt and answer, and those drawn, a closing one too."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where one choice's time went: waiting for pages or another's reading of the same, reading the prompt, writing."""

    queued: float
    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice ended as it should: `stop` (closing token or stop string) or `length`."""

    choice: int
    reason: FinishReason
    counts: Counts
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Failed:
    """A choice ended in an error; the others go on."""

    choice: int
    error: Exception


Event = Started | Scored | Text | Finished | Failed


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine can take. All in the model's tokens."""

    context_tokens: int  # prompt and answer together
    kv_tokens: int  # all running requests together
    default_max_tokens: int
    max_context_tokens: int  # passages in one prompt that this checkpoint reads well
    kv_bytes: int = 0  # of memory that `kv_tokens` take; 0: unknown


@dataclass(frozen=True, slots=True)
class Load:
    """A snapshot of an engine's work, for gauges and back-pressure."""

    running: int = 0
    waiting: int = 0
    kv_tokens_used: int = 0
    kv_tokens: int = 0
    step_age_s: float | None = None  # seconds since the running step began; None while idle
    drafted_tokens: int = 0  # guessed ahead since the start
    accepted_tokens: int = 0  # of those, how many were right
    asked_tokens: int = 0  # of prompts that an identical one before them could have saved reading, since the start
    reused_tokens: int = 0  # of those, how many were found again
    kv_bytes: int = 0  # the whole cache in memory
    kept_tokens: int = 0  # of cache that holds prompts for those who ask the same again
    is_alive: bool = True  # False once the engine's thread has ended, whatever ended it


def is_trained(condition: Sequence[Condition]) -> bool:
    """Say whether HRM-Text has seen this combination of condition tokens in training."""
    return tuple(condition) in TRAINED_CONDITIONS
