"""Our engine behind the protocol of tests/bench/sides: everything that serving does, but HTTP."""

import asyncio
import json
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import torch

from hrm_model.engine import NativeEngine
from hrm_model.loading import load_engine
from hrm_model.tokenizer import load_tokenizer
from hrm_model.types import Failed, Finished, Sampling, Text, Tokens

Bias = tuple[tuple[int, float], ...]


def against_silence(model: Path) -> Bias:
    """A bias against tokens without text, which the engine keeps until some text comes: their times would be lost."""
    tokenizer = load_tokenizer(model)
    return tuple((token, -100.0) for token in range(tokenizer.vocab_size) if not tokenizer.token_bytes(token))


async def answered(engine: NativeEngine, requests: list[dict[str, Any]], bias: Bias) -> dict[str, list[list[float]]]:
    """When each token of each answer was there."""
    began = time.perf_counter(), time.process_time()
    times: list[list[float]] = [[] for _ in requests]
    cpu: list[list[float]] = [[] for _ in requests]
    joined = [asyncio.Event() for _ in requests]

    def look() -> None:
        for event, request in zip(joined, requests, strict=True):
            if len(times[0]) >= request["after"]:
                event.set()

    async def one(number: int) -> None:
        request = requests[number]
        await joined[number].wait()
        sampling = Sampling(temperature=0, max_tokens=request["max_tokens"], ignore_eos=True, logit_bias=bias)
        prompt = Tokens(tuple(request["ids"]), len(request["ids"]))
        answers = engine.generate(prompt, sampling, n=request["n"], partition="everyone")
        ended = 0
        async with aclosing(answers) as events:
            async for event in events:
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Text):
                    times[number].extend([time.perf_counter() - began[0]] * event.tokens)
                    cpu[number].extend([time.process_time() - began[1]] * event.tokens)
                    look()
                elif isinstance(event, Finished):
                    ended += 1
        assert ended == request["n"], "an answer has no end"

    look()
    async with asyncio.TaskGroup() as group:
        for number in range(len(requests)):
            group.create_task(one(number))
    return {"wall": times, "cpu": cpu}


async def serve(engine: NativeEngine, bias: Bias) -> None:
    """Answer line by line, on one loop."""
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        times = await answered(engine, asked["requests"], bias)
        if not asked["is_kept"]:
            await engine.purge()
        print(json.dumps(times), flush=True)


def main() -> None:
    """Load, warm up and serve."""
    model, dtype, context, threads, weights = sys.argv[1:]
    torch.set_num_threads(int(threads))
    config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
    assert config["max_position_embeddings"] >= int(context), "the checkpoint's context is shorter"
    engine = load_engine(Path(model), dtype=dtype, draft_tokens=0, weights=weights)
    engine.start()
    asyncio.run(serve(engine, against_silence(Path(model))))


if __name__ == "__main__":
    main()
