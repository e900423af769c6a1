"""transformers' own `generate` behind the protocol of tests/bench/sides. A batch has prompts of one length."""

import json
import sys
import time
import warnings
from typing import Any

import torch


class Clock:
    """Writes down when each token of the batch was chosen; `generate` asks it whether to stop."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        self.wall.append(time.perf_counter() - self.began[0])
        self.cpu.append(time.process_time() - self.began[1])
        return torch.zeros(len(input_ids), dtype=torch.bool)


def answered(model: Any, requests: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """When each token was there: the same for all, as a batch goes in step."""
    from transformers import StoppingCriteriaList

    (tokens,) = {request["max_tokens"] for request in requests}
    assert not any(request["after"] or request["n"] > 1 for request in requests), "generate takes one batch at once"
    ids = torch.tensor([request["ids"] for request in requests])
    clock = Clock()
    model.generate(
        ids,
        token_type_ids=torch.ones_like(ids),
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        stopping_criteria=StoppingCriteriaList([clock]),
    )
    return {"wall": [clock.wall] * len(requests), "cpu": [clock.cpu] * len(requests)}


def main() -> None:
    """Load and serve."""
    warnings.simplefilter("ignore")
    from transformers import HrmTextForCausalLM

    model, dtype, _, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    loaded: Any = HrmTextForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    loaded.eval()
    loaded.generation_config.eos_token_id = None
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answered(loaded, json.loads(line)["requests"])), flush=True)


if __name__ == "__main__":
    main()
