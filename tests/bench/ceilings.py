"""What this machine can do at most: bytes read a second, and a large matrix product. The last line is JSON.

python -m tests.bench.ceilings bfloat16 2
"""

import json
import sys
import time
from collections.abc import Callable

import torch

READ_BYTES = 1 << 29
EDGE, SMALL_EDGE = 2048, 512


def best(action: Callable[[], object], times: int = 5) -> float:
    """The shortest of some runs, in seconds."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def _product(edge: int, dtype: torch.dtype) -> Callable[[], object]:
    square = torch.randn(edge, edge).to(dtype)
    return lambda: square @ square


def main() -> None:
    """Measure, and print one JSON line."""
    dtype, threads = getattr(torch, sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    with torch.inference_mode():
        # Larger than any cache but a server's last level: what is read there is not memory's speed alone.
        long = torch.ones(READ_BYTES // 4)
        read = READ_BYTES / best(long.sum)
        # A CPU that has no bf16 products multiplies such numbers quickest as fp32, and torch one by one.
        quickest = min((dtype, torch.float32), key=lambda kind: best(_product(SMALL_EDGE, kind), times=1))
        product = 2 * EDGE**3 / best(_product(EDGE, quickest))
    print(json.dumps({"read_gb_s": round(read / 1e9, 1), "product_gflop_s": round(product / 1e9, 1)}))


if __name__ == "__main__":
    main()
