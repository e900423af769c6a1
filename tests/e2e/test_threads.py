"""Who computes beside the engine leaves no OpenMP worker behind: with more of them than cores, each step is slower.

The compiled step's own threads stay, and sleep between two steps; the log says how many they are.
"""

import json
import os
import subprocess
import sys

_COUNTED = """
import asyncio, json, logging, os, re, threading, time
from contextlib import aclosing
import torch
from hrm_model.compiled import choose
from hrm_model.loading import load_engine
from hrm_model.types import Question, Sampling
from retrieval.embedder import MiniLM
from server.settings import BUNDLED_MODEL

def tasks():
    # Once their number stays: a worker ends a moment after the thread that it worked for.
    seen = [0]
    while len(set(seen[-20:])) > 1 or len(seen) < 20:
        time.sleep(0.02)
        seen.append(len(os.listdir("/proc/self/task")))
    return seen[-1]

told = []
class Listening(logging.Handler):
    def emit(self, record):
        found = re.search(r"on (\\d+) threads", record.getMessage())
        told.append(found and int(found[1]))
choose.log.addHandler(Listening())
choose.log.setLevel(logging.INFO)
counts = [tasks()]
engine = load_engine(BUNDLED_MODEL, device="cpu", kv_bytes=2**24)
counts.append(tasks())
async def answer(number):
    async with aclosing(engine.generate(Question(f"What is {number}?"), Sampling(max_tokens=4))) as events:
        async for event in events:
            pass
async def answer_together():
    await asyncio.gather(*map(answer, range(16)))
engine.start()
asyncio.run(answer_together())
counts.append(tasks() - 1)  # the engine's own thread
embedder = MiniLM()
def ask():
    embedder.embed(["Who leads the claims desk? " * 20] * 8)
ask()  # loads libraries that have threads of their own
counts.append(tasks())
lasting, asked = threading.Event(), threading.Semaphore(0)
def stay():
    ask()
    asked.release()
    lasting.wait()
for _ in range(4):
    threading.Thread(target=stay).start()
for _ in range(4):
    asked.acquire()
counts.append(tasks() - 4)
lasting.set()
torch.randn(512, 512) @ torch.randn(512, 512)
counts.append(tasks())
# With the caller of a step, as many threads as the log says; why steps run on torch where that is what it says.
own = told[0] - 1 if isinstance(told[0], int) else 0
print(json.dumps([own, *counts]))
"""


def test_loading_answering_and_embedding_leave_no_worker_behind() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", _COUNTED], env=environment, capture_output=True, text=True, check=False, timeout=200
    )

    assert done.returncode == 0, done.stderr
    own, start, loaded, answered, once, often, computed = json.loads(done.stdout)
    assert loaded == start + own
    assert answered == loaded or not own, "they would keep cores from the compiled step's threads"
    assert often == once
    assert computed > once, "a thread that lasts keeps its workers, so they would have been seen"
