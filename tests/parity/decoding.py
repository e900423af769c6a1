"""Greedy decoding by this network, one step at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.model import HrmText
from hrm_model.pages import pages_for
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence as Running
from hrm_model.types import Sampling


class Decoding:
    """Our side, step by step, with the pages laid out on purpose in no order."""

    def __init__(self, model: HrmText, prompts: Sequence[Sequence[int]], *, room: int = 80) -> None:
        self.model = model
        each = pages_for(max(map(len, prompts)) + room)
        self.cache = PagedCache(model.config, each * len(prompts), dtype=torch.float32, device="cpu")
        pages = torch.randperm(self.cache.pages, generator=torch.Generator().manual_seed(1)).tolist()
        self.runner = Runner(model, self.cache, "cpu")
        self.sequences = [
            Running(i, 0, list(ids), len(ids), Sampling(seed=0), room, pages[i * each : (i + 1) * each])
            for i, ids in enumerate(prompts)
        ]

    def logits(self) -> Tensor:
        with torch.inference_mode():
            return self.runner.forward(self.sequences)

    def feed(self, tokens: Sequence[int]) -> None:
        for sequence, token in zip(self.sequences, tokens, strict=True):
            sequence.ids.append(token)

    def greedy(self, count: int) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in self.sequences]
        for _ in range(count):
            tokens = self.logits().argmax(-1).tolist()
            self.feed(tokens)
            for answer, token in zip(answers, tokens, strict=True):
                answer.append(token)
        return answers
