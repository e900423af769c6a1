"""A step's decisions -> tensors -> logits -> ids. No policy, no threads."""

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor

from hrm_model.attention import PagedAttention, Span
from hrm_model.cache import KvCache
from hrm_model.compiled.step import CompiledStep, Token
from hrm_model.endings import Allowed
from hrm_model.graphed import GraphedStep
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for, rows_of
from hrm_model.sampling import Draw, Drawn, NotFinite, draw
from hrm_model.sequence import Reading, Sequence
from hrm_model.threads import compute_alone, computing_on

COPIED_PAGES = 16  # at a time; on their way they take memory beside the cache, 96 MiB of a 1B network in bf16


class Runner:
    """Owns the network and the cache; every mutable tensor is touched from the thread that calls it."""

    def __init__(
        self, model: HrmText, cache: KvCache, device: str, compiled: CompiledStep | GraphedStep | None = None
    ) -> None:
        """Take the parts.

        Args:
            compiled: of the same network and cache; None leaves all to torch.
        """
        self._model, self._cache, self._device, self._compiled = model, cache, device, compiled
        self._reader = compiled if isinstance(compiled, CompiledStep) and compiled.reads_prompts else None
        self._threads = torch.get_num_threads()
        self._reading: _Underway | None = None

    def settle(self) -> None:
        """Prepare the thread that is to make the steps; it calls this once, before the first."""
        if isinstance(self._compiled, CompiledStep):
            compute_alone()

    @torch.inference_mode()
    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        """Read each sequence's pending ids, cache them, and draw its next token, or several where its draft is right.

        A drafted token is kept exactly when it equals the draw in its place, so drafts change no answer. Choices of
        one request that begin together read their prompt once. A sequence that comes with `first` set, its prompt
        being read elsewhere, reads nothing. The logits after a prompt are left in `fresh`.
        """
        self._fork(sequences)
        leaders = _leaders(sequences)
        read = [s for s, leader in zip(sequences, leaders, strict=True) if leader is s and s.first is None]
        begun = {id(s) for s in read if not s.cached}
        parts = [self.forward(read)] if read else []
        row_of: dict[int, int] = {}  # the first row of each sequence
        at = 0
        for sequence in read:
            row_of[id(sequence)] = at
            at += len(sequence.draft) + 1
        for sequence, leader in zip(sequences, leaders, strict=True):
            sequence.fresh = sequence.first
            if id(sequence) in begun and sequence.partition is not None:
                # A row of its own: a view would keep the logits of the whole step.
                sequence.fresh = parts[0][row_of[id(sequence)]].clone()
            if leader is not sequence:
                sequence.source = leader.pages
                row_of[id(sequence)] = row_of[id(leader)]
            elif sequence.first is not None:
                assert isinstance(sequence.first, Tensor), "the runner's own logits come back to it"
                parts.append(sequence.first[None])
                row_of[id(sequence)], at = at, at + 1
        self._fork([sequence for sequence, leader in zip(sequences, leaders, strict=True) if leader is not sequence])
        chosen = [
            (sequence, row_of[id(sequence)] + ahead, ahead)
            for sequence in sequences
            for ahead in range(len(sequence.draft) + 1)
        ]
        logits_RV = parts[0] if len(parts) == 1 else torch.cat(parts)
        # Between the forward, which a GPU still works on, and the draws, which wait for it.
        allowed = {id(one): _allowed(one) for one in sequences}
        draws = [
            _draw_of(sequence, sequence.draft[:ahead], allowed[id(sequence)][ahead]) for sequence, _, ahead in chosen
        ]
        rows = iter(draw(self._picked(logits_RV, [row for _, row, _ in chosen]), draws))
        results: list[list[Drawn | NotFinite]] = []
        for sequence in sequences:
            kept = _kept([next(rows) for _ in range(len(sequence.draft) + 1)], sequence.draft)
            # Keys and values of what was drafted wrongly are written over by what comes in its place.
            sequence.cached = len(sequence.ids) + len(kept) - 1
            sequence.draft, sequence.first = [], None
            results.append(kept)
        return results

    @torch.inference_mode()
    def read(self, reading: Reading, layers: int) -> bool:
        """Read prompts by so many layers more; once they are read, leave the logits after each in its `first`.

        Returns:
            Whether they are read. Another reading that was under way is given up.
        """
        if self._reading is None or self._reading.what is not reading:
            self._reading = self._begin(reading)
        underway = self._reading
        try:
            logits_BV = underway.advance(layers)
            if logits_BV is not None:
                self._reading = None
                for leader, logits_V in zip(reading.leaders, logits_BV, strict=True):
                    leader.first, leader.cached = logits_V.clone(), leader.prompt_len
        except BaseException:
            self._reading = None
            raise
        return logits_BV is not None

    @property
    def layers(self) -> int:
        """Layers that a prompt is read in."""
        return self._model.layers

    @torch.inference_mode()
    def clear(self, pages: list[int]) -> None:
        """Overwrite what `pages` hold, and give up a reading whose prompts were all cancelled."""
        if self._reading is not None and not any(leader.pages for leader in self._reading.what.leaders):
            self._reading = None
        self._cache.clear(_rows(pages))

    @torch.inference_mode()
    def clear_rows(self, rows: list[int]) -> None:
        """Overwrite what single rows hold."""
        self._cache.clear(rows)

    def forward(self, sequences: Items[Sequence]) -> Tensor:
        """Read pending ids into the cache.

        Returns:
            (R, V) logits after each sequence's last id and each token of its draft, in order; R is B without drafts.
        """
        if self._compiled is None:
            logits_RV = self._by_torch(sequences)
        elif self._reader is not None:
            logits_RV = self._reader(_tokens(sequences))
        else:
            logits_RV = self._by_both(self._compiled, sequences)
        for sequence in sequences:
            sequence.cached = len(sequence.ids)
        return logits_RV

    def _by_both(self, compiled: CompiledStep | GraphedStep, sequences: Items[Sequence]) -> Tensor:
        """Read prompts by torch, which multiplies many rows faster, and write by the compiled step."""
        writers, readers = [s for s in sequences if s.cached], [s for s in sequences if not s.cached]
        tokens = _tokens(writers)
        if compiled.most_tokens is not None and len(tokens) > compiled.most_tokens:
            return self._by_torch(sequences)
        if not readers:
            return compiled(tokens)
        if not writers:
            return self._by_torch(readers)
        rows_of = {
            id(sequence): rows
            for some, logits_RV in ((writers, compiled(tokens)), (readers, self._by_torch(readers).float()))
            for sequence, rows in zip(some, torch.split(logits_RV, [len(s.draft) + 1 for s in some]), strict=True)
        }
        return torch.cat([rows_of[id(sequence)] for sequence in sequences])

    def _by_torch(self, sequences: Items[Sequence]) -> Tensor:
        with computing_on(self._threads):
            return self._forward(sequences)

    def _forward(self, sequences: Items[Sequence]) -> Tensor:
        ids_T, position_T, spans = self._spans(sequences)
        attend = PagedAttention(self._cache, spans, self._device)
        slow_TD = self._model(ids_T, position_T, attend)
        last_R = [
            row
            for span in spans
            for row in range(
                span.at + span.end - span.start - 1 - len(span.sequence.draft), span.at + span.end - span.start
            )
        ]
        return self._model.logits(slow_TD[torch.tensor(last_R, device=self._device)])

    def _begin(self, reading: Reading) -> "_Underway":
        if self._reader is not None:
            return _Underway(reading, self._reader.begin(_tokens(reading.leaders)).advance)
        ids_T, position_T, spans = self._spans(reading.leaders)
        passes = self._model.paced(ids_T, position_T, PagedAttention(self._cache, spans, self._device))
        rows = list(accumulate(leader.prompt_len for leader in reading.leaders))

        def advance(layers: int) -> Tensor | None:
            with computing_on(self._threads):
                try:
                    for _ in range(layers):
                        next(passes)
                except StopIteration as end:
                    slow_TD: Tensor = end.value
                    return self._model.logits(slow_TD[torch.tensor(rows, device=self._device) - 1])
                return None

        return _Underway(reading, advance)

    def _spans(self, sequences: Items[Sequence]) -> tuple[Tensor, Tensor, list[Span]]:
        """Pending ids (T,), their positions (T,), and which sequence has which of them."""
        spans: list[Span] = []
        at = 0
        for sequence in sequences:
            end = len(sequence.ids) + len(sequence.draft)
            spans.append(Span(sequence, at, sequence.cached, end))
            at += end - sequence.cached
        ids_T = torch.tensor([token for s in sequences for token in s.pending], device=self._device)
        position_T = torch.tensor([p for span in spans for p in range(span.start, span.end)], device=self._device)
        return ids_T, position_T, spans

    def _picked(self, logits_RV: Tensor, rows: list[int]) -> Tensor:
        """Rows in the order in which they are wanted; mostly that in which they are, and then nothing is copied."""
        if rows == list(range(len(logits_RV))):
            return logits_RV
        return logits_RV[torch.tensor(rows, device=self._device)]

    def _fork(self, sequences: Items[Sequence]) -> None:
        """Give sequences whose prompt stands elsewhere what they do not share: mostly a part of one page each.

        In the order in which they were admitted, one request after the other: a page that was let go since may belong
        to a later one. So copies that fail can be made again, and those that were made need not be, and must not.
        """
        for _, group in groupby(sequences, key=lambda sequence: sequence.request):
            choices = list(group)
            # By target: choices share the pages that their prompt fills.
            source_of: dict[int, int] = {}
            for one in choices:
                if one.source:
                    pages = pages_for(one.prompt_len)
                    source_of |= dict(zip(one.pages[:pages], one.source[:pages], strict=True))
            self._copy({target: source for target, source in source_of.items() if source != target})
            for one in choices:
                one.source = []

    def _copy(self, source_of: dict[int, int]) -> None:
        """Give pages what their sources hold."""
        sources, targets = list(source_of.values()), list(source_of)
        for at in range(0, len(targets), COPIED_PAGES):
            self._cache.copy(_rows(sources[at : at + COPIED_PAGES]), _rows(targets[at : at + COPIED_PAGES]))


@dataclass(frozen=True, slots=True)
class _Underway:
    """Prompts that are half read."""

    what: Reading
    advance: Callable[[int], Tensor | None]  # by so many layers; the logits after each prompt once it is read


def _rows(pages: list[int]) -> list[int]:
    return [row for page in pages for row in rows_of([page], 0, PAGE_TOKENS)]


def _tokens(sequences: Items[Sequence]) -> list[Token]:
    """What the sequences have pending; the logits after the last id and after each token of a draft are wanted."""
    return [
        Token(sequence, token, position, position >= len(sequence.ids) - 1)
        for sequence in sequences
        for position, token in enumerate(sequence.pending, start=sequence.cached)
    ]


def _leaders(sequences: Items[Sequence]) -> list[Sequence]:
    """For each sequence the one that reads its pending ids: itself, or the first choice of a request that begins."""
    begun: dict[int, Sequence] = {}
    return [one if one.cached else begun.setdefault(one.request, one) for one in sequences]


def _kept(rows: list[Drawn | NotFinite], draft: list[int]) -> list[Drawn | NotFinite]:
    """The draws up to the first that is not what was drafted after it; a row after a wrong guess means nothing."""
    for right, (row, guess) in enumerate(zip(rows, draft, strict=False)):
        if isinstance(row, NotFinite) or row.token != guess:
            return rows[: right + 1]
    return rows


def _allowed(sequence: Sequence) -> list[Allowed | None]:
    """What a grammar lets follow the sequence, and each token of its draft; it has no say in what was given."""
    fixed = max(0, len(sequence.given) - sequence.answered)
    if sequence.matching is None or fixed > len(sequence.draft):
        return [None] * (len(sequence.draft) + 1)
    return [*[None] * fixed, *sequence.matching.allowed(sequence.draft[fixed:])]


def _draw_of(sequence: Sequence, ahead: Items[int], allowed: Allowed | None) -> Draw:
    """The draw in the place after `ahead`, tokens beyond the sequence's own."""
    seed = sequence.sampling.seed
    assert seed is not None, "the engine decides a seed at admission"
    position = sequence.answered + len(ahead)
    if position < len(sequence.given):
        return Draw(sequence.sampling, seed, sequence.choice, position, given=sequence.given[position])
    if not sequence.sampling.looks_back:
        return Draw(sequence.sampling, seed, sequence.choice, position, allowed=allowed)
    prompt, answer = sequence.ids[: sequence.prompt_len], [*sequence.ids[sequence.prompt_len :], *ahead]
    return Draw(sequence.sampling, seed, sequence.choice, position, prompt, answer, allowed)
