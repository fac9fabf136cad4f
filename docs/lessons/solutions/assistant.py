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
    ids: list[int] = []
    learned: list[bool] = []
    for message in messages:
        answer = message["role"] == "assistant"
        content = encode(message["content"])
        ids += [special[ROLES[message["role"]]], *content]
        learned += [False, *[answer] * len(content)]
        if answer:
            ids.append(special[END])
            learned.append(True)
    return ids, learned


def calculate(expression: str) -> int:
    """The value of a sum of whole numbers with `+`, `-` and `*`: products first, otherwise from left to right.

    Blanks do not count. Without `eval`: the expression comes from a model.

    Raises:
        ValueError: it is something else.
    """
    expression = expression.replace(" ", "")
    total = 0
    for term in expression.replace("-", "+-").split("+"):
        sign, term = (-1, term[1:]) if term.startswith("-") else (1, term)
        product = sign
        for factor in term.split("*"):
            if not factor.isascii() or not factor.isdigit():
                raise ValueError(f"no whole number: {factor!r}")
            product *= int(factor)
        total += product
    return total


def advantages(rewards: list[float]) -> list[float] | None:
    """How much better than the group each answer is: its reward minus the mean, divided by the standard deviation.

    (The square root of the mean squared difference.) None if all rewards are equal: such a group teaches nothing.
    """
    mean = sum(rewards) / len(rewards)
    spread = (sum((reward - mean) ** 2 for reward in rewards) / len(rewards)) ** 0.5
    return [(reward - mean) / spread for reward in rewards] if spread > 1e-6 else None
