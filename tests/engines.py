"""Native engines over the smallest network whose answers vary; made in a moment, without transformers.

Greedy answers never close (the closing token's row of the head is zero), so that tests decide how long they are.
"""

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from hrm_model.cache import PagedCache
from hrm_model.compiled.choose import compiled_step
from hrm_model.config import HrmConfig
from hrm_model.engine import NativeEngine
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.sequence import Sequence as Running
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.training.vocabulary import train_tokenizer
from hrm_model.types import Event, Failed, Finished, Limits, Sampling, Scored, Started, Text, TokenLogprob
from hrm_model.weights import save_checkpoint

CONFIG = HrmConfig(
    vocab_size=304,
    hidden_size=64,
    intermediate_size=128,
    layers_per_stack=1,
    num_heads=1,
    head_dim=64,
    max_position_embeddings=2048,
    embedding_scale=20.0,
    H_cycles=2,
    L_cycles=1,
    dtype="float32",
)
LIMITS = Limits(context_tokens=2048, kv_tokens=8192, default_max_tokens=24, max_context_tokens=1024)
_WORDS = (
    "who approves a refund and when does the desk answer: the glass claim desk answers within days, the branch leads"
)


def fastest_runner(model: HrmText, cache: PagedCache, device: str) -> Runner:
    """The runner that is served: with the compiled step where that was built."""
    return Runner(model, cache, device, compiled_step(model, cache))


@dataclass(frozen=True)
class Tiny:
    """A random network and its tokenizer."""

    model: HrmText
    tokenizer: Tokenizer

    def engine(
        self,
        *,
        limits: Limits = LIMITS,
        max_running: int = 8,
        max_waiting: int = 8,
        runner: Callable[[HrmText, PagedCache, str], Runner] | None = None,
        prefill_tokens: int = 4096,
        draft_tokens: int = 0,
        slice_tokens: int = 64,
        kept_pages: int = 0,
    ) -> NativeEngine:
        pages = limits.kv_tokens // PAGE_TOKENS
        cache = PagedCache(CONFIG, pages, dtype=torch.float32, device="cpu")
        scheduler = Scheduler(
            pages,
            max_running=max_running,
            max_waiting=max_waiting,
            prefill_tokens=prefill_tokens,
            slice_tokens=slice_tokens,
            kept_pages=kept_pages,
        )
        return NativeEngine(
            (runner or fastest_runner)(self.model, cache, "cpu"),
            scheduler,
            self.tokenizer,
            limits,
            draft_tokens=draft_tokens,
        )

    def changed(self, change: Callable[[HrmText], object]) -> "Tiny":
        """The same network after `change` has had its way with the weights."""
        model = copy.deepcopy(self.model)
        change(model)
        return Tiny(model, self.tokenizer)

    def greedy_ids(self, prompt: Sequence[int], count: int) -> list[int]:
        """What the network answers, asked without any engine."""
        pages = pages_for(len(prompt) + count)
        runner = Runner(self.model, PagedCache(CONFIG, pages, dtype=torch.float32, device="cpu"), "cpu")
        sequence = Running(0, 0, list(prompt), len(prompt), Sampling(), count, list(range(pages)))
        for _ in range(count):
            with torch.inference_mode():
                sequence.ids.append(int(runner.forward([sequence])[0].argmax()))
        return sequence.ids[len(prompt) :]


def make_checkpoint(folder: Path) -> Path:
    """Write a checkpoint that `hrm_model.loading.load_engine` reads."""
    train_tokenizer([_WORDS], CONFIG.vocab_size, folder)
    tokenizer = load_tokenizer(folder)
    model = HrmText(CONFIG)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # As large as makes answers vary: see tests/checkpoints.py.
            std = {"z_L_init": 1.0, "lm_head": 0.1, "embed": 0.05}
            parameter.normal_(
                std=next((value for part, value in std.items() if part in name), 1.5 * parameter.shape[-1] ** -0.5),
                generator=generator,
            )
        model.lm_head.weight[tokenizer.control(END_ANSWER)] = 0
    save_checkpoint(folder, CONFIG, model.state_dict(), {})
    return folder


@asynccontextmanager
async def running(engine: NativeEngine) -> AsyncIterator[NativeEngine]:
    engine.start()
    try:
        yield engine
    finally:
        await engine.drain(0)


@dataclass
class Reply:
    """A whole answer: the fold of its events, which checks their order on the way."""

    started: list[Started] = field(default_factory=list)
    scored: dict[int, tuple[TokenLogprob, ...]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    logprobs: dict[int, list[TokenLogprob]] = field(default_factory=dict)
    ids: dict[int, list[int]] = field(default_factory=dict)
    ends: dict[int, Finished | Failed] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        if isinstance(event, Started):
            assert not self.started, "started twice"
            assert not self.texts
            assert not self.ends
            self.started.append(event)
            return
        assert self.started, f"{event} before Started"
        assert event.choice not in self.ends, f"{event} after the end of its choice"
        if isinstance(event, Scored):
            assert event.choice not in {**self.scored, **self.texts}, f"{event} is not the first of its choice"
            self.scored[event.choice] = event.logprobs
        elif isinstance(event, Text):
            self.texts[event.choice] = self.texts.get(event.choice, "") + event.text
            self.tokens[event.choice] = self.tokens.get(event.choice, 0) + event.tokens
            assert len(event.ids) <= event.tokens
            assert len(event.logprobs) in (0, len(event.ids))
            self.logprobs.setdefault(event.choice, []).extend(event.logprobs)
            self.ids.setdefault(event.choice, []).extend(event.ids)
        else:
            self.ends[event.choice] = event

    @property
    def finished(self) -> dict[int, Finished]:
        """The ends of the choices, all of which must have ended well."""
        ends = {choice: end for choice, end in sorted(self.ends.items()) if isinstance(end, Finished)}
        assert len(ends) == len(self.ends), self.ends
        return ends


async def reply_of(events: AsyncGenerator[Event, None]) -> Reply:
    reply = Reply()
    async with aclosing(events):
        async for event in events:
            reply.take(event)
    return reply
