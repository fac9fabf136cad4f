"""The form of a `tokenizer.json`: every part has the type that later code relies on, and every id its one word.

In: the parsed file. Out: nothing, or a `UserError` of one line. What the parts mean is for `foreign` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassmill.errors import UserError
from glassmill.foreign_json import field

LARGEST_ID = 1 << 24
STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
LISTS = ("normalizers", "pretokenizers", "processors", "decoders")
FLAGS = ("special", "single_word", "lstrip", "rstrip", "normalized")


def check_tokenizer_json(full: dict[str, Any], where: str) -> None:
    """Refuses a description in which a part has another type than the format gives it.

    Args:
        full: The file's object, with a `model` that is an object.
        where: How messages name it.

    Raises:
        UserError: Naming the first part at fault.
    """
    model = full["model"]
    vocab = model.get("vocab")
    if isinstance(vocab, dict):
        _check_ids(vocab, where)
    elif not isinstance(vocab, list) or not all(_is_scored(entry) for entry in vocab):
        raise UserError(f"{where} is damaged: the vocabulary is neither a table nor a list of words with scores")
    for place, merge in enumerate(field(model, "merges", list, what=where, default=[])):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
            raise UserError(f"{where} is damaged: merge {place} is not a pair of symbols")
    added: dict[str, int] = {}
    for entry in field(full, "added_tokens", list, what=where, default=[]):
        if not isinstance(entry, dict):
            raise UserError(f"{where} is damaged: an added token is not an object")
        content = field(entry, "content", str, what=f"{where}, an added token")
        if not content:
            raise UserError(f"{where} is damaged: an added token is empty")
        added[content] = field(entry, "id", int, what=f"{where}, an added token", low=0, high=LARGEST_ID)
        for flag in FLAGS:
            field(entry, flag, bool, what=f"{where}, the added token {content[:40]!r}", default=False)
    _check_ids(added, where)
    if isinstance(vocab, dict):
        _check_ids({**vocab, **added}, where)
    for name in STEPS:
        _check_step(full.get(name), f"{where}, {name}")


def _check_ids(words: Mapping[str, Any], where: str) -> None:
    if "" in words:
        raise UserError(f"{where} is damaged: a symbol of the vocabulary is empty")
    for word, number in words.items():
        if type(number) is not int or not 0 <= number <= LARGEST_ID:
            raise UserError(f"{where} is damaged: the id of {word[:40]!r} is {str(number)[:40]}")
    if len(set(words.values())) != len(words):
        seen: dict[int, str] = {}
        for word, number in words.items():
            if number in seen:
                raise UserError(
                    f"{where} is damaged: {seen[number][:40]!r} and {word[:40]!r} both have the id {number}"
                )
            seen[number] = word


def _is_scored(entry: object) -> bool:
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
        return False
    return isinstance(entry[1], int | float) and not isinstance(entry[1], bool)


def _check_step(step: object, what: str) -> None:
    """A step is an object with a type, or null; a sequence is a list of such."""
    if step is None:
        return
    if not isinstance(step, dict):
        raise UserError(f"{what} is not an object")
    field(step, "type", str, what=what)
    for name in LISTS:
        for inner in field(step, name, list, what=what, default=[]):
            if inner is None:
                raise UserError(f"{what}: a step of {name} is null")
            _check_step(inner, what)
    if any(not isinstance(text, str) for text in field(step, "pattern", dict, what=what, default={}).values()):
        raise UserError(f"{what}: a pattern is not a text")
