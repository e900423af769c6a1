"""The choices of one training run: frozen, written beside the weights, and printed into the model card."""

from dataclasses import asdict, dataclass

from hrm_model.training.start import STARTS, Start

_AT_LEAST = {
    "tokens": 1,
    "batch_tokens": 1,
    "longest_pair": 1,
    "warmup_steps": 1,
    "gradient_steps": 2,
    "held_out": 1,
    "evaluate_every": 1,
    "seed": 0,
    "weight_decay": 0,
    "stage_share": 0,
    "evidence": 0,
}
_MORE_THAN_NOTHING = ("hours", "learning_rate", "decay", "clip", "gradient_warmup")
_SHARES_BELOW_ONE = ("ema", "replay")


def _lacking(name: str, value: float) -> str:
    """What `value` should be and is not. Nan, which compares with nothing, is never what it should be."""
    if name in _AT_LEAST and not value >= _AT_LEAST[name]:
        return f"at least {_AT_LEAST[name]}"
    if name in _MORE_THAN_NOTHING and not 0 < value < float("inf"):
        return "more than 0"
    if name in _SHARES_BELOW_ONE and not 0 <= value < 1:
        return "from 0 to less than 1"
    return ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an HRM is pretrained.

    The learning rate follows a warm-up, a plateau and a linear decay to zero over the last `decay` of the budget.
    `gradient_steps` grow linearly from 2 over the first `gradient_warmup` of the budget (paper, section 2).
    """

    tokens: int | None = None  # budget; exactly one of tokens and hours
    hours: float | None = None
    batch_tokens: int = 8192
    longest_pair: int = 512  # tokens; longer pairs are left out, and told of
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    warmup_steps: int = 60
    decay: float = 0.3
    ema: float = 0.995
    clip: float = 1.0
    gradient_steps: int = 5
    gradient_warmup: float = 0.2
    evidence: float = 0.0  # weight, beside the response's loss, of telling which tokens of the prompt are evidence
    advance_at: float = 0.85  # exact match on the stage's held-out pairs that opens the next stage
    stage_share: float = 0.12  # of the budget, after which the next stage opens all the same
    replay: float = 0.2  # share of each later stage's pairs that comes from the stages before
    held_out: int = 256  # pairs at the head of each stage's file that are never trained on
    evaluate_every: int = 50  # steps
    start: Start = "random"  # of attention: see start.py
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.tokens is None) == (self.hours is None):
            raise ValueError("a run has a budget of tokens or of hours: give exactly one")
        if self.start not in STARTS:
            raise ValueError(f"start is {self.start!r}; it must be one of {', '.join(STARTS)}")
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and (wanted := _lacking(name, value)):
                raise ValueError(f"{name.replace('_', ' ')} is {value}; it must be {wanted}")

    def rate(self, step: int, progress: float) -> float:
        """The learning rate at `step`, `progress` (0 to 1) of the budget being spent."""
        return (
            self.learning_rate
            * min(1.0, (step + 1) / self.warmup_steps)
            * min(1.0, max(0.0, (1.0 - progress) / self.decay))
        )

    def steps_with_gradient(self, progress: float) -> int:
        """The K of truncated back-propagation."""
        grown = 2 + (self.gradient_steps - 2) * min(1.0, progress / self.gradient_warmup)
        return int(min(self.gradient_steps, round(grown)))
