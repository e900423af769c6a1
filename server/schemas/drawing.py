"""How an answer is to be drawn: the parameters that every generating route takes, OpenAI's names and vLLM's."""

import secrets
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, Tag

from hrm_model.types import Sampling
from server.schemas.fields import Asked, by_shape, counted_first, encodable
from server.schemas.structure import ResponseFormat, StructuredOutputs

MAX_BIASES = 1024
StopString = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(encodable)]
TokenId = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
TokenKey = Annotated[int, Field(strict=False, ge=0, lt=2**31)]  # JSON's keys are strings
Penalty = Annotated[float, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]
Biases = Annotated[dict[TokenKey, Bias], Field(max_length=MAX_BIASES), counted_first(MAX_BIASES)]


class Drawing(Asked):
    """Sampling, how many answers, where they end, and what form they have."""

    temperature: float | None = Field(
        None, ge=0, le=2, description="Default 0, which is greedy (OpenAI's default is 1)."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="0 or -1: off.")
    min_p: float | None = Field(
        None, ge=0, le=1, description="Tokens less likely than this share of the likeliest are left out."
    )
    presence_penalty: Penalty | None = Field(None, description="Taken once for each token that the answer holds.")
    frequency_penalty: Penalty | None = Field(None, description="Taken for each time that the answer holds a token.")
    repetition_penalty: float | None = Field(
        None, ge=0.01, le=100, description="Divides the logits of tokens that prompt or answer hold; 1: off."
    )
    logit_bias: Biases | None = Field(
        None, description="Added to the logits of these token ids, before everything else."
    )
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: (
        Annotated[
            Annotated[StopString, Tag("one")] | Annotated[list[StopString], Field(max_length=4), Tag("many")],
            by_shape(one=str, many=list),
        ]
        | None
    ) = None
    stop_token_ids: list[TokenId] | None = Field(
        None, max_length=1024, description="End the answer as its closing token does."
    )
    max_tokens: int | None = Field(None, ge=1)
    min_tokens: int | None = Field(
        None, ge=0, lt=2**31, description="Tokens before which no closing token is drawn and no stop string counts."
    )
    ignore_eos: bool | None = Field(None, description="Never draw the model's closing token.")
    n: int | None = Field(None, ge=1, le=128)
    response_format: ResponseFormat | None = Field(None, description="JSON, of any form or as a schema says.")
    structured_outputs: StructuredOutputs | None = Field(
        None, description="vLLM's name for the same, which also knows patterns, choices and grammars."
    )

    _seed_is_ours: bool = PrivateAttr(default=False)

    @property
    def seed_is_ours(self) -> bool:
        """Whether the server has decided the seed, and not the request."""
        return self._seed_is_ours

    def seeded(self, seed: int | None = None) -> Self:
        """The same request with a seed wherever draws need one, so that the answer can be drawn again.

        Args:
            seed: the one that was decided when it was asked before; None: any.
        """
        if not self.temperature or self.seed is not None:
            return self
        seeded = self.model_copy(update={"seed": secrets.randbits(63) if seed is None else seed})
        seeded._seed_is_ours = True
        return seeded

    def drawn(self, *, max_tokens: int | None, logprobs: int | None) -> Sampling:
        """How the engine is to draw; what the request leaves out stays the engine's default."""
        return Sampling(
            temperature=self.temperature or 0.0,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=self.top_k or 0,
            seed=self.seed,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            max_tokens=max_tokens,
            logprobs=logprobs,
            min_p=self.min_p or 0.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            repetition_penalty=1.0 if self.repetition_penalty is None else self.repetition_penalty,
            logit_bias=tuple((self.logit_bias or {}).items()),
            stop_token_ids=tuple(self.stop_token_ids or ()),
            min_tokens=self.min_tokens or 0,
            ignore_eos=bool(self.ignore_eos),
        )
