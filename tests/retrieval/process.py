"""A second process over a data directory, for the tests: commands as JSON lines on stdin, answers on stdout.

    python -m tests.retrieval.process DATA_DIR [FUNCTION EVENT NTH]

With the last three it kills itself (SIGKILL) at the NTH time that the named function is called or returns.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import anyio

from retrieval.library import Library
from retrieval.opening import open_library
from tests.retrieval.desk import ANNA, WordsEmbedder

LEASE_S = 0.5


def arm(function: str, event: str, nth: int) -> None:
    """Kill this process at one exact place, without changing the code that runs."""
    seen = 0

    def watch(frame: FrameType, happened: str, _: object) -> None:
        nonlocal seen
        code = frame.f_code
        if happened == event and code.co_qualname == function and "retrieval" in code.co_filename:
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    threading.setprofile(watch)


async def obey(library: Library, command: dict[str, Any]) -> Any:
    match command:
        case {"search": query}:
            hits = await library.search(query, stores=["shop"], k=20, reader=ANNA)
            return [passage.text for passage in hits.passages]
        case {"ingest": paths}:
            for path in paths:
                document = await library.ingest(Path(path), store="shop", reader=ANNA)
                print(json.dumps({"acknowledged": document.filename}), flush=True)
            return "done"
        case {"take_in": paths}:
            outcomes = await library.ingest_all([Path(path) for path in paths], store="shop", reader=ANNA)
            return [type(outcome).__name__ for outcome in outcomes]
        case {"delete": file_id}:
            await library.delete(file_id, ANNA)
            return "done"
        case {"remove_store": name}:
            return await library.archive.remove_store(name, ANNA)
        case {"erase": file_ids}:
            for file_id in file_ids:
                await library.delete(file_id, ANNA)
                print(json.dumps({"acknowledged": file_id}), flush=True)
                for erasure in (await library.purge()).erasures:
                    await library.settle(erasure)
            return "done"
        case {"purge": True}:
            return (await library.purge()).problem
        case {"backup": folder}:
            await library.back_up(Path(folder), {})
            return "done"
    raise ValueError(command)


async def main(data_dir: Path) -> None:
    async with open_library(data_dir, WordsEmbedder(), lease_s=LEASE_S) as library:
        print(json.dumps("ready"), flush=True)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            print(json.dumps({"answer": await obey(library, json.loads(line))}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        arm(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    anyio.run(main, Path(sys.argv[1]))
