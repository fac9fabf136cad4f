"""A `tokenizer.json` of another form than the format's is refused, naming the part."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import UserError
from glassmill.tokens.schema import check_tokenizer_json
from glassmill.tokens.tokenizer import Tokenizer

GOOD: dict[str, Any] = {
    "added_tokens": [{"id": 3, "content": "<|end|>", "special": True}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "a"}}]},
    "post_processor": None,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
}
BAD: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "an empty symbol": (("model", "vocab", ""), 9, "a symbol of the vocabulary is empty"),
    "an id in words": (("model", "vocab", "b"), "1", "the id of 'b' is 1"),
    "a negative id": (("model", "vocab", "b"), -1, "the id of 'b' is -1"),
    "an id of true": (("model", "vocab", "b"), True, "the id of 'b' is True"),
    "a huge id": (("model", "vocab", "b"), 10**12, "the id of 'b' is 1000000000000"),
    "one id for two": (("model", "vocab", "b"), 0, "'a' and 'b' both have the id 0"),
    "a vocabulary of numbers": (("model", "vocab"), [1, 2], "neither a table nor a list of words"),
    "a merge of three": (("model", "merges", 0), ["a", "b", "c"], "merge 0 is not a pair"),
    "a merge without a space": (("model", "merges", 0), "ab", "merge 0 is not a pair"),
    "a merge of numbers": (("model", "merges", 0), [1, 2], "merge 0 is not a pair"),
    "merges as a table": (("model", "merges"), {}, "merges = an object is not a list"),
    "added tokens as a table": (("added_tokens",), {"a": 1}, "added_tokens = an object is not a list"),
    "an added token as a text": (("added_tokens", 0), "x", "an added token is not an object"),
    "an added token without an id": (("added_tokens", 0), {"content": "x"}, "lacks 'id'"),
    "an added token with a symbol's id": (("added_tokens", 0, "id"), 1, "'b' and '<|end|>' both have the id 1"),
    "an empty added token": (("added_tokens", 0, "content"), "", "an added token is empty"),
    "a flag in words": (("added_tokens", 0, "special"), "yes", "special = 'yes' is not true or false"),
    "a step as a text": (("decoder",), "ByteLevel", "decoder is not an object"),
    "a step without a type": (("decoder",), {}, "lacks 'type'"),
    "a step of steps as a text": (("normalizer", "normalizers", 0), "NFC", "normalizer is not an object"),
    "a step of null": (("normalizer", "normalizers", 0), None, "a step of normalizers is null"),
    "a pattern as a text": (("pre_tokenizer", "pretokenizers", 0, "pattern"), "a", "pattern = 'a' is not an object"),
    "a pattern of numbers": (("pre_tokenizer", "pretokenizers", 0, "pattern"), {"Regex": 3}, "is not a text"),
}


def test_the_good_one_passes() -> None:
    check_tokenizer_json(GOOD, "tokenizer.json")


@pytest.mark.parametrize("case", BAD)
def test_a_part_of_another_type_is_named(case: str, tmp_path: Path) -> None:
    (*path, last), value, message = BAD[case]
    full = place = copy.deepcopy(GOOD)
    for part in path:
        place = place[part]
    place[last] = value
    with pytest.raises(UserError, match=message) as refused:
        check_tokenizer_json(full, "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text(json.dumps(full))
    with pytest.raises(UserError):
        Tokenizer.load(tmp_path)
    assert "\n" not in str(refused.value)
