"""`hrm-serve train`: flags, errors in words, exit statuses, and a small run whose checkpoint everybody loads."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
import torch

from hrm_model.config import read_config
from hrm_model.loading import load_engine
from hrm_model.tokenizer import load_tokenizer
from hrm_model.training.cli import RECIPE_FLAGS, SHAPE_FLAGS, main, parser
from hrm_model.training.recipe import Recipe
from hrm_model.training.run import Shape
from hrm_model.training.vectors import token_vectors
from hrm_model.types import Finished, Question, Sampling, Text
from hrm_model.weights import load_model
from retrieval.embedder import MiniLM
from tests.checkpoints import reference_logits
from tests.hrm_model.training.copying import tasks, write

CHOSEN = {
    "hidden-size": 64,
    "intermediate-size": 128,
    "layers-per-stack": 1,
    "vocab-size": 300,
    "context": 128,
    "longest-pair": 64,
    "batch-tokens": 512,
    "held-out": 16,
    "evaluate-every": 10,
    "warmup-steps": 5,
}
EMBED = MiniLM().embed
SMALL = [f"--{name}={value}" for name, value in CHOSEN.items()]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide enough for the longest path: a narrow one breaks names in two."""
    monkeypatch.setenv("COLUMNS", "1000")


def run(*arguments: object, tokens: str = "20000", last: Sequence[str] = ()) -> int:
    return main([*map(str, arguments), *SMALL, "--tokens", tokens, *last], EMBED)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "copy.jsonl", tasks(300, words=2))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a run over two files."""
    folder = tmp_path_factory.mktemp("run")
    files = [write(folder / f"{words}.jsonl", tasks(300, words, words)) for words in (1, 2)]
    assert run(*files, "--out", folder / "model") == 0
    return folder / "model"


def test_every_field_of_the_recipe_but_the_budget_has_a_flag() -> None:
    assert {field.name for field in dataclasses.fields(Recipe)} - {"tokens", "hours"} == RECIPE_FLAGS.keys()


def test_every_field_of_the_shape_has_a_flag() -> None:
    assert {field.name for field in dataclasses.fields(Shape)} - {"tied", "extractive"} == SHAPE_FLAGS.keys()


def test_the_defaults_are_those_of_the_recipe_and_the_shape() -> None:
    chosen = vars(parser().parse_args(["data.jsonl", "--out", "model", "--tokens", "1"]))

    assert {name: chosen[name] for name in RECIPE_FLAGS} == {
        name: getattr(Recipe(tokens=1), name) for name in RECIPE_FLAGS
    }
    assert {name: chosen[name] for name in SHAPE_FLAGS} == {name: getattr(Shape(), name) for name in SHAPE_FLAGS}


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"], EMBED)

    shown = capsys.readouterr().out
    flags = (
        "tokens",
        "hours",
        "init",
        "words",
        "device",
        "compile",
        "untied",
        "extractive",
        *RECIPE_FLAGS,
        *SHAPE_FLAGS,
    )
    assert left.value.code == 0
    assert [name for name in flags if f"--{name.replace('_', '-')}" not in shown] == []


def test_words_start_the_embedding_from_the_embedders_vectors(data: Path, tmp_path: Path) -> None:
    tables = []
    for flags in ([], ["--words"]):
        out = tmp_path / f"model{len(flags)}"
        assert run(data, "--out", out, tokens="600", last=flags) == 0
        tables.append(load_model(out, dtype=torch.float32, device="cpu").model.embed_tokens.weight.detach())

    words = load_tokenizer(tmp_path / "model1")
    expected_VD = torch.nn.functional.normalize(token_vectors(EMBED, words, 64, 0), dim=1)
    plain, told = (
        float((torch.nn.functional.normalize(table_VD[: len(expected_VD)], dim=1) * expected_VD).sum(1).mean())
        for table_VD in tables
    )
    assert told > 0.9, "two steps of training change little"
    assert abs(plain) < 0.1


@pytest.mark.parametrize(
    "budget", [[], ["--tokens", "1e6", "--hours", "1"], ["--tokens", "many"], ["--tokens", "nan"], ["--tokens", "inf"]]
)
def test_wrong_arguments_are_status_2(budget: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["data.jsonl", "--out", "model", *budget], EMBED)

    assert left.value.code == 2
    assert "--tokens" in capsys.readouterr().err


def refused(
    capsys: pytest.CaptureFixture[str], *arguments: object, tokens: str = "20000", last: Sequence[str] = ()
) -> str:
    status = run(*arguments, tokens=tokens, last=last)
    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    return " ".join(said.err.split())


def test_what_cannot_work_is_said_in_words(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    bad = write(tmp_path / "bad.jsonl", [{"instruction": "Say amber"}])
    few = write(tmp_path / "few.jsonl", tasks(5))

    assert "no-such.jsonl" in refused(capsys, tmp_path / "no-such.jsonl", "--out", out)
    assert "bad.jsonl:1: response is missing" in refused(capsys, bad, "--out", out)
    assert "the first 16 are held out" in refused(capsys, few, "--out", out)
    assert "tokens is 0" in refused(capsys, data, "--out", out, tokens="0")
    assert "warmup steps is 0" in refused(capsys, data, "--out", out, last=["--warmup-steps", "0"])
    assert "no device cuda:99" in refused(capsys, data, "--out", out, "--device", "cuda:99")
    assert "no device banana" in refused(capsys, data, "--out", out, "--device", "banana")
    assert not (out / "model.safetensors").exists()


def test_a_checkpoint_is_extractive_where_every_response_stands_in_its_instruction(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [{"instruction": "Say amber", "response": "amber"}, {"instruction": "Say amber", "response": "resin"}]
    free = write(tmp_path / "free.jsonl", told * 20)

    assert run(data, "--out", tmp_path / "quotes", "--extractive", tokens="600") == 0
    assert read_config(tmp_path / "quotes").is_extractive
    capsys.readouterr()
    said = refused(capsys, data, free, "--out", tmp_path / "model", "--extractive")
    assert "free.jsonl: pair 2: 'resin' does not stand in its instruction" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--hidden-size", "100"], "hidden size 100 is no multiple of the head size, 64"),
        (["--hidden-size", "0"], "hidden size is 0"),
        (["--layers-per-stack", "0"], "layers per stack is 0"),
        (["--vocab-size", "200"], "has 264 entries; the shape allows 200"),
        (["--context", "32"], "pairs of up to 64 tokens do not fit a context of 32"),
    ],
)
def test_a_shape_that_cannot_work_leaves_nothing_behind(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], flags: list[str], complaint: str
) -> None:
    out = tmp_path / "model"

    assert complaint in refused(capsys, data, "--out", out, last=flags)
    assert not list(out.rglob("*"))


def test_a_checkpoint_holds_what_servers_expect(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "run",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((trained / "config.json").read_text())
    assert (config["head_dim"], config["dtype"]) == (64, "bfloat16")
    assert [config[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [1, 5, 0]


def test_transformers_loads_it_with_equal_logits(trained: Path) -> None:
    """Both sides hold the same bf16 weights in fp32; 1e-4 is what two orders of summation differ by."""
    from transformers import HrmTextForCausalLM

    from hrm_model.training.objective import PackedAttention
    from hrm_model.training.packing import attention_bias

    theirs = HrmTextForCausalLM.from_pretrained(trained, dtype=torch.float32)
    theirs.eval()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    ours = load_model(trained, dtype=torch.float32)
    ids, prefix = [1, 3, *range(40, 60), 2, 44, 45, 46], 23
    in_prompt = (torch.arange(len(ids)) < prefix)[None]
    attend = PackedAttention(attention_bias(torch.zeros(1, len(ids)), in_prompt))

    with torch.no_grad():
        logits = ours.logits(ours(torch.tensor(ids), torch.arange(len(ids)), attend))

    torch.testing.assert_close(logits, reference_logits(theirs, ids, prefix), atol=1e-4, rtol=0)
    assert float(logits.std()) > 0.5, "logits that do not vary compare nothing"


def test_the_engine_serves_it(trained: Path) -> None:
    async def answer() -> list[Text | Finished]:
        engine = load_engine(trained, device="cpu", kv_bytes=2**24)
        engine.start()
        async with aclosing(engine.generate(Question("Say amber"), Sampling(max_tokens=8))) as events:
            said = [event async for event in events if isinstance(event, Text | Finished)]
        await engine.drain(5)
        return said

    *_, last = asyncio.run(answer())

    assert isinstance(last, Finished)
    assert 1 <= last.counts.completion_tokens <= 8


def test_the_result_is_one_line_of_output(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "--out", tmp_path / "model", tokens="3000") == 0

    line = capsys.readouterr().out
    assert line.startswith(f"{tmp_path / 'model'}: ")
    assert "tokens; held-out exact match: copy.jsonl 0." in line
    assert line.count("\n") == 1


def test_a_second_call_goes_on_and_a_larger_budget_goes_further(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def steps(tokens: str) -> int:
        assert run(data, "--out", tmp_path / "model", tokens=tokens) == 0
        return int(capsys.readouterr().out.split(": ")[1].split()[0])

    first = steps("3000")

    assert steps("3000") == first
    assert first < steps("6000") <= 2 * first


def test_a_run_may_start_from_a_checkpoint(tmp_path: Path, trained: Path, data: Path) -> None:
    out = tmp_path / "model"

    assert run(data, "--out", out, "--init", trained, tokens="1") == 0

    # One step at a fifth of the learning rate: what was loaded, not what was drawn.
    started, original = (load_model(folder, dtype=torch.float32).state_dict() for folder in (out, trained))
    apart = [float((started[name] - original[name]).abs().mean() / original[name].abs().mean()) for name in original]
    assert max(apart) < 0.1
    assert (out / "tokenizer.json").read_bytes() == (trained / "tokenizer.json").read_bytes()


def test_a_run_with_another_tokenizer_is_not_gone_on_with(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(
        tmp_path / "other.jsonl", ({"instruction": f"Tell {n} tales", "response": "tales"} for n in range(99))
    )
    out = tmp_path / "model"
    assert run(other, "--out", out, tokens="1000") == 0
    capsys.readouterr()
    before = (out / "tokenizer.json").read_bytes()

    said = refused(capsys, other, "--out", out, "--init", trained, tokens="2000")

    assert "holds a run with another tokenizer" in said
    assert (out / "tokenizer.json").read_bytes() == before
