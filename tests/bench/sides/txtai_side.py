"""txtai over the chunks and vectors of a store, one question a line; runs in a virtual environment of its own.

    {"question": "...", "k": n}
    {"found": [chunk number, ...], "wall": s, "cpu": s}

Its dense index is the exact one and its words are ranked by BM25, so that it looks at as much as the other side does.
The vectors are those that the store has; questions are embedded by sentence-transformers, as txtai would do it.
"""

import json
import sqlite3
import sys
import time
from typing import Any


def main() -> None:
    """Build, say how long that took, and serve."""
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer
    from txtai import Embeddings

    path, model, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    embedder = SentenceTransformer(model, device="cpu", local_files_only=True)
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = store.execute(
        "SELECT chunk_no, title || char(10) || text, vector FROM chunks JOIN vectors USING (chunk_no) ORDER BY chunk_no"
    ).fetchall()
    known = {text: vector for _, text, vector in rows}

    def transform(texts: list[str]) -> Any:
        if all(text in known for text in texts):
            return np.frombuffer(b"".join(known[text] for text in texts), np.float32).reshape(len(texts), -1)
        return embedder.encode(texts, show_progress_bar=False)

    index = Embeddings(
        method="external",
        transform=transform,
        content=True,
        hybrid=True,
        backend="faiss",
        faiss={"components": "IDMap,Flat"},
    )
    began = time.process_time()
    index.index((number, text, None) for number, text, _ in rows)
    print(json.dumps({"chunks": index.count(), "build_cpu_s": time.process_time() - began}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        found = index.search(asked["question"], asked["k"])
        spent = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        print(json.dumps({"found": [int(row["id"]) for row in found], **spent}), flush=True)


if __name__ == "__main__":
    main()
