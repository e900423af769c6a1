"""vLLM's engine behind the protocol of tests/bench/sides, by a Python of its own; knows nothing of this project."""

import json
import sys
import time
from itertools import count


def main() -> None:
    """Load, and serve by stepping the engine."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]  # not installed beside the project

    model, dtype, context, _, batched_tokens = sys.argv[1:]
    engine = LLM(
        model,
        dtype=dtype,
        max_model_len=int(context),
        max_num_batched_tokens=int(batched_tokens),
        skip_tokenizer_init=True,
    ).llm_engine
    numbers = count()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        requests = json.loads(line)["requests"]
        times: list[list[float]] = [[] for _ in requests]
        cpu: list[list[float]] = [[] for _ in requests]
        names: dict[str, int] = {}
        began = time.perf_counter(), time.process_time()
        while len(names) < len(requests) or engine.has_unfinished_requests():
            for place, request in enumerate(requests):
                if place not in names.values() and len(times[0]) >= request["after"]:
                    names[name := str(next(numbers))] = place
                    sampling = SamplingParams(
                        n=request["n"],
                        temperature=0,
                        max_tokens=request["max_tokens"],
                        ignore_eos=True,
                        detokenize=False,
                    )
                    engine.add_request(name, {"prompt_token_ids": request["ids"]}, sampling)
            for output in engine.step():
                place = names[output.request_id]
                new = sum(len(choice.token_ids) for choice in output.outputs) - len(times[place])
                times[place].extend([time.perf_counter() - began[0]] * new)
                cpu[place].extend([time.process_time() - began[1]] * new)
        print(json.dumps({"wall": times, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main()
