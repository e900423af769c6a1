"""best_of: more answers to a prompt than are wanted, of which those are passed on that the model finds likeliest."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from math import inf

from server.events import AnswerEvent, Closed, Opened, Recited, Said, closing


async def likeliest(
    events: AsyncGenerator[AnswerEvent, None], *, drawn: int, n: int, with_logprobs: bool
) -> AsyncGenerator[AnswerEvent, None]:
    """Wait for all answers, and pass on `n` of each prompt's `drawn`: the likeliest by token, best first.

    Args:
        events: of all answers, with the log probability of every token.
        with_logprobs: whether these are passed on.
    """
    said: dict[int, list[Said]] = defaultdict(list)
    recited: dict[int, Recited] = {}
    closed: dict[int, Closed] = {}
    others: list[AnswerEvent] = []
    async with closing(events):
        async for event in events:
            match event:
                case Opened():
                    pass
                case Recited(choice):
                    recited[choice] = event
                case Said(choice):
                    said[choice].append(event)
                case Closed(choice):
                    closed[choice] = event
                case other:
                    others.append(other)
    for prompt in range(len(closed) // drawn):
        answers = range(prompt * drawn, (prompt + 1) * drawn)
        best = sorted(answers, key=lambda choice: -_likelihood(said[choice]))[:n]
        for place, choice in enumerate(best, start=prompt * n):
            yield Opened(place, None)
            if choice in recited:
                yield replace(recited[choice], choice=place)
            for piece in said[choice]:
                yield replace(piece, choice=place, logprobs=piece.logprobs if with_logprobs else ())
            yield replace(closed[choice], choice=place)
    for event in others:
        yield event


def _likelihood(said: Sequence[Said]) -> float:
    """The mean log probability of an answer's tokens; one without tokens comes last."""
    logprobs = [token.logprob for piece in said for token in piece.logprobs]
    return sum(logprobs) / len(logprobs) if logprobs else -inf
