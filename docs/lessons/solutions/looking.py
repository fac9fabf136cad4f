"""Lesson 8: from logits to a token, and how well a model predicts."""

import math


def probabilities(logits: list[float], temperature: float) -> list[float]:
    """The softmax of the logits, each divided by the temperature (above 0).

    Subtract the largest logit first, or `math.exp(1000)` overflows.
    """
    largest = max(logits)
    weights = [math.exp((logit - largest) / temperature) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def kept(probabilities: list[float], top_k: int, top_p: float) -> dict[int, float]:
    """The tokens that survive, in the order of their ids, with probabilities that add up to 1 again.

    First the `top_k` likeliest stay (0: all) and are scaled to the sum 1. Of these stay the likeliest that together
    have at least `top_p`: each whose predecessors, from the likeliest on, have less than that.
    """
    order = sorted(range(len(probabilities)), key=lambda token: -probabilities[token])
    order = order[: top_k or None]
    total = sum(probabilities[token] for token in order)
    nucleus, before = [], 0.0
    for token in order:
        if before >= top_p * total:
            break
        nucleus.append(token)
        before += probabilities[token]
    return {token: probabilities[token] / before for token in sorted(nucleus)}


def draw(kept: dict[int, float], uniform: float) -> int:
    """The token at `uniform`, from 0 up to but not including 1: lay the probabilities side by side in the order of the
    ids, and see in which one it falls."""
    total = 0.0
    for token, probability in kept.items():
        total += probability
        if uniform < total:
            return token
    return token


def bits_per_byte(nats: list[float], num_bytes: list[int]) -> float:
    """How many bits a model needs for a byte of text: the sum of the losses in bits, divided by the bytes.

    `nats` are the losses of the tokens, `num_bytes` the bytes each stands for. Tokens of 0 bytes (control tokens) do
    not count, nor does their loss.
    """
    total = sum(loss for loss, size in zip(nats, num_bytes, strict=True) if size)
    return total / math.log(2) / sum(num_bytes)
