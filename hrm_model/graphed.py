"""Steps of a few tokens as CUDA graphs: all kernels of a step are launched at once, where one by one they cost more
than they compute.

A graph has shapes and addresses for ever. So tokens are padded to a few sizes, what a step is given is copied into
tensors that stay, and each token gathers the keys of its pages, up to a length that is padded as well.
"""

from collections.abc import Callable
from collections.abc import Sequence as Items

import torch
from torch import Tensor
from torch.nn import functional

from hrm_model.cache import PagedCache
from hrm_model.compiled.step import Token
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for

MOST_TOKENS = 64  # of a step; more keep a GPU busy without a graph
FEWEST_PAGES = 16  # a shorter sequence is padded to so many
WARM_UPS = 3  # before a graph is captured: libraries choose their kernels in the first calls

Work = Callable[[], Tensor]
Capture = Callable[[Work], Work]  # the same work, in the same memory, at each call


class GraphedStep:
    """A network and its cache behind one call. Only one thread may call it at a time."""

    reads_prompts = False
    most_tokens = MOST_TOKENS

    def __init__(self, model: HrmText, cache: PagedCache, capture: Capture | None = None) -> None:
        """Begin without graphs; each is captured when a step of its size comes first.

        Args:
            capture: None takes CUDA's graphs, on the model's device.
        """
        self._model, self._cache = model, cache
        self._capture = capture or cuda_graphs(model.model.embed_tokens.weight.device)
        self._graphs: dict[tuple[int, int], _Graph] = {}

    def __call__(self, tokens: Items[Token]) -> Tensor:
        """Read answers' tokens into the cache.

        Args:
            tokens: at most `most_tokens`, all beyond their prompts.

        Returns:
            (R, V) fp32 logits after the tokens that want them, in order.
        """
        longest = max(token.position for token in tokens) + 1
        context = pages_for(self._model.config.max_position_embeddings)
        pages = min(_padded(max(FEWEST_PAGES, pages_for(longest))), context)
        size = _padded(len(tokens)), pages
        if size not in self._graphs:
            self._graphs[size] = _Graph(self._model, self._cache, *size)
        logits_TV = self._graphs[size](tokens, self._capture)
        wanted = [row for row, token in enumerate(tokens) if token.is_wanted]
        return logits_TV[torch.tensor(wanted, device=logits_TV.device)].float()


class _Graph:
    """A step of one size, and the tensors that it reads."""

    def __init__(self, model: HrmText, cache: PagedCache, tokens: int, pages: int) -> None:
        self._model, self._cache, self._tokens, self._pages = model, cache, tokens, pages
        self._given_TX = torch.zeros(tokens, 2 + pages, dtype=torch.int64, device=cache.key.device)
        self._replay: Work | None = None

    def __call__(self, tokens: Items[Token], capture: Capture) -> Tensor:
        """(T, V) logits, of padding as well; valid until the next call."""
        rows = [[token.id, token.position, *self._pages_of(token)] for token in tokens]
        rows += rows[:1] * (self._tokens - len(rows))  # the first again, which writes what it writes anyway
        self._given_TX.copy_(torch.tensor(rows))
        if self._replay is None:
            self._replay = capture(self._step)
        return self._replay()

    def _pages_of(self, token: Token) -> list[int]:
        pages = token.sequence.pages[: self._pages]
        return pages + pages[:1] * (self._pages - len(pages))

    def _step(self) -> Tensor:
        ids_T, position_T, pages_TP = self._given_TX[:, 0], self._given_TX[:, 1], self._given_TX[:, 2:]
        place = torch.arange(PAGE_TOKENS, device=position_T.device)
        row_TS = (pages_TP[:, :, None] * PAGE_TOKENS + place).flatten(1)
        written_T = row_TS.gather(1, position_T[:, None])[:, 0]
        is_read_TS = torch.arange(row_TS.shape[1], device=position_T.device) <= position_T[:, None]
        # Beyond a sequence's end lies what others have left, or nothing finite: masked, it would be NaN all the same.
        row_TS = torch.where(is_read_TS, row_TS, row_TS[:, :1])
        attend = _Gathered(self._cache, written_T, row_TS, is_read_TS)
        return self._model.logits(self._model(ids_T, position_T, attend))


class _Gathered:
    """The `Attend` of one step: every token by itself, with the keys of its sequence gathered."""

    def __init__(self, cache: PagedCache, written_T: Tensor, row_TS: Tensor, is_read_TS: Tensor) -> None:
        self._cache, self._written_T, self._row_S = cache, written_T, row_TS.flatten()
        self._shape, self._mask_T11S = row_TS.shape, is_read_TS[:, None, None]

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        self._cache.write(slot, self._written_T, key_TNK, value_TNK)
        key_TNSK, value_TNSK = (
            read.view(*self._shape, *read.shape[1:]).transpose(1, 2) for read in self._cache.read(slot, self._row_S)
        )
        out_TN1K = functional.scaled_dot_product_attention(
            query_TNK[:, :, None], key_TNSK, value_TNSK, attn_mask=self._mask_T11S
        )
        return out_TN1K[:, :, 0]


def cuda_graphs(device: torch.device) -> Capture:
    """Capture work as CUDA graphs on `device`, which share their memory: only one runs at a time."""
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Work:
        with torch.cuda.device(device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    work()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                out = work()

        def replay() -> Tensor:
            graph.replay()
            return out

        return replay

    return capture


def _padded(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
