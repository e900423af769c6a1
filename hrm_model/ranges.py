"""What each field of `Sampling` may be. Standard library only."""

from collections.abc import Iterable, Mapping

from hrm_model.errors import InvalidSampling
from hrm_model.types import Sampling

MAX_LISTED = 1024  # ids in `logit_bias` or `stop_token_ids`: each is looked at for every token of the answer

# The bounds are in. A NaN is in no range.
RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "top_k": (-1, 2**31 - 1),  # 0 and -1 are both in use for "all"
    "min_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repetition_penalty": (0.01, 100),
    "logprobs": (0, 20),
    "min_tokens": (0, 2**31 - 1),
}
BIAS = (-100.0, 100.0)


def check_sampling(sampling: Sampling, *, vocab_size: int) -> None:
    """Refuse what has no meaning.

    Raises:
        InvalidSampling: a field is out of its range, or names a token outside the vocabulary.
    """
    for name, (low, high) in RANGES.items():
        value = getattr(sampling, name)
        if value is not None and not low <= value <= high:
            raise InvalidSampling(name, f"{value} is not in {low:g} to {high:g}")
    if "" in sampling.stop:
        raise InvalidSampling("stop", "an empty string ends every answer")
    _check_ids("logit_bias", [token for token, _ in sampling.logit_bias], vocab_size)
    _check_ids("stop_token_ids", sampling.stop_token_ids, vocab_size)
    low, high = BIAS
    for token, bias in sampling.logit_bias:
        if not low <= bias <= high:
            raise InvalidSampling("logit_bias", f"{bias} for token {token} is not in {low:g} to {high:g}")


def _check_ids(name: str, ids: Iterable[int], vocab_size: int) -> None:
    ids = list(ids)
    if len(ids) > MAX_LISTED:
        raise InvalidSampling(name, f"{len(ids)} tokens; at most {MAX_LISTED} can be named")
    for token in ids:
        if not 0 <= token < vocab_size:
            raise InvalidSampling(name, f"token id {token} is outside the vocabulary of {vocab_size}")
