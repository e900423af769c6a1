"""Greedy answers by vLLM, in a process of its own and by a Python of its own; knows nothing of this project.

PYTHON greedy_by_vllm.py CHECKPOINT < {"prompts": [[ids]], "max_tokens": n} > [[ids]], as the last line
"""

import json
import sys


def main() -> None:
    """Answer all prompts in one batch."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]  # not installed beside the project

    asked = json.load(sys.stdin)
    model = LLM(
        sys.argv[1],
        dtype="float32",
        max_model_len=512,
        # A prompt longer than this is never scheduled: it is read bidirectionally, so it is never cut.
        max_num_batched_tokens=512,
        enforce_eager=True,
        skip_tokenizer_init=True,
    )
    sampling = SamplingParams(temperature=0, max_tokens=asked["max_tokens"], ignore_eos=True, detokenize=False)
    results = model.generate([{"prompt_token_ids": ids} for ids in asked["prompts"]], sampling, use_tqdm=False)
    print(json.dumps([list(result.outputs[0].token_ids) for result in results]))


if __name__ == "__main__":
    main()
