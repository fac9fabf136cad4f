"""What of a conversation fits into a model's context: the oldest questions leave first, each with its answer.

The terminal trims with `fit`, and so does the server for clients that ask for it. Nothing else shortens a conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassmill.errors import ContextOverflow

ROOM_SHARE = 4
"""One part in so many of the context is kept free for the answer, as long as older turns can make room."""

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A conversation that leaves room for an answer.

    Attributes:
        ids: Its prompt.
        messages: What stayed.
        turns_left: Questions that left, with their answers.
        messages_left: The same in messages.
    """

    ids: list[int]
    messages: list[Message]
    turns_left: int
    messages_left: int


def fit(
    messages: Sequence[Message],
    prompt_ids: Callable[[Sequence[Message]], list[int]],
    context_length: int,
    max_tokens: int | None = None,
) -> Fitted:
    """Leave out as few of the oldest turns as give the answer room; the first system messages and the last turn stay.

    A turn is a question and everything up to the next one. Room is a quarter of the context, or `max_tokens` if that is
    less; the last turn alone may leave less.

    Args:
        messages: The whole conversation.
        prompt_ids: Renders messages; called a number of times that grows with the logarithm of the turns.
        context_length: Tokens for prompt and answer together.
        max_tokens: The longest answer wanted; None: any.

    Raises:
        ContextOverflow: The last turn alone leaves no room.
    """
    head = next((i for i, message in enumerate(messages) if not is_system(message)), len(messages))
    starts = [i for i in range(head, len(messages)) if messages[i]["role"] == "user"][1:]
    begins = [head, *starts]
    room = room_for(context_length, max_tokens)

    def kept(turns_left: int) -> list[Message]:
        return [*messages[:head], *messages[begins[turns_left] :]]

    ids = prompt_ids(messages)
    low, high = 0, len(begins) - 1
    if len(ids) + room > context_length and high:
        low = 1
        while low < high:
            middle = (low + high) // 2
            if len(prompt_ids(kept(middle))) + room > context_length:
                low = middle + 1
            else:
                high = middle
        ids = prompt_ids(kept(low))
    if len(ids) >= context_length:
        raise ContextOverflow(
            f"the last message is too long: its prompt has {len(ids)} tokens with no turn before it; the context "
            f"holds {context_length} for prompt and answer together"
        )
    return Fitted(ids, kept(low), low, begins[low] - head)


def room_for(context_length: int, max_tokens: int | None) -> int:
    """Tokens that are kept free for an answer of at most `max_tokens`."""
    return max(1, min(context_length // ROOM_SHARE, context_length if max_tokens is None else max_tokens))


def is_system(message: Message) -> bool:
    """Whether it says how to answer, and is no turn."""
    return message["role"] in ("system", "developer")
