"""From the rows of a task to token ids whose likelihood is asked, with solved examples in front.

Texts are built as nanochat's CORE builds them: examples, each followed by an empty line, then the question, the
delimiter and an answer. What counts is an answer's tokens: from the first one that the question alone would not have.
In front stands what the model's tokenizer puts before a prompt; an empty question starts a document.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glassmill.evals.likelihood import Text
from glassmill.evals.task_files import Item, Task
from glassmill.tokens.tokenizer import Tokenizer

ORDER_SEED = 1337
"""Rows are shuffled before a limit takes the first of them; nanochat's number, so its order."""
BLOCK = 256
"""Rows that are encoded together."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row as ids.

    Attributes:
        item: The row.
        texts: One for each option.
        lengths: Characters of the answer in each, for scores by length.
        differ: Of each text the first token in which the options may differ.
        cropped: Whether the beginning was cut off, because it did not fit the context.
    """

    item: Item
    texts: list[Text]
    lengths: list[int]
    differ: list[int]
    cropped: bool


def order(task: Task, limit: int | None) -> list[int]:
    """Indices of the rows in the order in which they are asked: shuffled, `limit` of them."""
    indices = list(range(len(task.items)))
    random.Random(ORDER_SEED).shuffle(indices)
    return indices[:limit]


def prompts(
    task: Task, tokenizer: Tokenizer, context_length: int, limit: int | None, seed: int, same_shots: bool
) -> Iterator[Prompt]:
    """The rows in their order. Examples are drawn from all other rows: for each row anew, or the same for all."""
    everything = order(task, None)
    front = [int(token) for token in tokenizer.framed("")]
    start = front or [int(token) for token in tokenizer.prompt_ids("")]
    count = len(everything[:limit])
    for begin in range(0, count, BLOCK):
        block = range(begin, min(begin + BLOCK, count))
        built = [_built(task, everything, place, seed, same_shots) for place in block]
        flat = [text for texts in built for pair in texts for text in pair]
        encoded = iter([int(token) for token in ids] for ids in tokenizer.encode_batch(flat))
        for place, texts in zip(block, built, strict=True):
            item = task.items[everything[place]]
            pairs = [(next(encoded), next(encoded)) for _ in texts]
            short = not texts[0][0] or any(len(whole) < 2 for _, whole in pairs)  # nothing would predict its only token
            own = start if short else front
            yield _prompt(task, item, [(own + known, own + whole) for known, whole in pairs], context_length)


def shots(count: int, place: int, num_rows: int, seed: int, same: bool) -> list[int]:
    """Places of the examples for the row at `place`: never itself. `Random(seed + place)` draws, as in nanochat."""
    if not count:
        return []
    if same:
        return [other for other in random.Random(seed).sample(range(num_rows), count + 1) if other != place][:count]
    drawn = random.Random(seed + place).sample(range(num_rows - 1), count)
    return [other + (other >= place) for other in drawn]


def _built(task: Task, everything: Sequence[int], place: int, seed: int, same: bool) -> list[tuple[str, str]]:
    """Of every option the text before the answer, and the whole."""
    item, delimiter = task.items[everything[place]], task.setup.delimiter
    drawn = shots(task.setup.shots, place, len(everything), seed, same)
    examples = [task.items[everything[other]] for other in drawn]
    if task.kind == "pairs":
        before = "".join(f"{one.answer}\n\n" for one in examples)
        return [(before, before + ending) for ending in item.endings]
    before = "".join(f"{one.question}{delimiter}{one.answer}\n\n" for one in examples)
    if task.kind == "language":
        text = before + item.question + delimiter
        return [(text.strip(), text + item.answer)]
    asked = [before + beginning for beginning in item.beginnings]
    if len(asked) == 1:
        asked *= len(item.endings)
    endings = item.endings * (len(asked) // len(item.endings))
    return [(text, text + delimiter + ending) for text, ending in zip(asked, endings, strict=True)]


def _prompt(task: Task, item: Item, pairs: Sequence[tuple[list[int], list[int]]], context_length: int) -> Prompt:
    wholes = [whole for _, whole in pairs]
    starts = [max(1, _same(known, whole)) for known, whole in pairs]
    if task.kind == "schema":  # what is compared is the common end
        backwards = [whole[::-1] for whole in wholes]
        shared = min(_same(backwards[0], other) for other in backwards[1:])
        starts = [max(1, len(whole) - max(1, shared)) for whole in wholes]
        differ = list(starts)
    elif len(wholes) > 1:
        shared = min(_same(wholes[0], other) for other in wholes[1:])
        differ = [min(max(start, shared), len(whole) - 1) for start, whole in zip(starts, wholes, strict=True)]
    else:
        differ = list(starts)
    starts = [min(start, len(whole) - 1) for start, whole in zip(starts, wholes, strict=True)]
    lengths = [len(ending) for ending in item.endings] * (len(wholes) // len(item.endings))
    cut = max(0, max(map(len, wholes)) - context_length)
    texts = []
    for whole, start in zip(wholes, starts, strict=True):
        own = min(cut, len(whole) - 2)
        texts.append(Text(whole[own:], max(1, start - own)))
    differ = [max(1, place - min(cut, len(whole) - 2)) for place, whole in zip(differ, wholes, strict=True)]
    return Prompt(item, texts, lengths, differ, cut > 0)


def _same(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two texts begin with."""
    shorter = min(len(one), len(other))
    return next((i for i in range(shorter) if one[i] != other[i]), shorter)
