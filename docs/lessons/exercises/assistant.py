"""Lesson 7: what an assistant learns from, in SFT and in RL."""

from collections.abc import Callable

ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END = "<|im_end|>"


def render(
    messages: list[dict[str, str]], encode: Callable[[str], list[int]], special: dict[str, int]
) -> tuple[list[int], list[bool]]:
    """The ids of a conversation, and for each of them whether the assistant learns to write it.

    Every message is the control token of its role, then its content; the assistant's also ends with `END`. Learned are
    the contents of the assistant and their `END`, nothing else. `special` has the ids of the control tokens; `encode`
    makes ids of text, and must never see a control token.
    """
    ...


def calculate(expression: str) -> int:
    """The value of a sum of whole numbers with `+`, `-` and `*`: products first, otherwise from left to right.

    Blanks do not count. Without `eval`: the expression comes from a model.

    Raises:
        ValueError: it is something else.
    """
    ...


def advantages(rewards: list[float]) -> list[float] | None:
    """How much better than the group each answer is: its reward minus the mean, divided by the standard deviation.

    (The square root of the mean squared difference.) None if all rewards are equal: such a group teaches nothing.
    """
    ...
