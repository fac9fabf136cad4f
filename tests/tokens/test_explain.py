"""Looking into a tokenizer: branches, merge trees, steps, two tokenizers side by side."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.tokens import explain
from tests.tokens.builders import PROSE, small_tokenizer

TOKENIZER = small_tokenizer(512)
SMALLER = small_tokenizer(320)


def leaves(tree: dict[str, Any]) -> list[str]:
    return [leaf for part in tree["parts"] for leaf in leaves(part)] or [tree["bytes"]]


def nodes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree, *(node for part in tree["parts"] for node in nodes(part))]


def test_every_piece_names_the_branch_that_cut_it():
    entries = TOKENIZER.explain("Don't pay 12345!\n  OK")
    branches = {entry["piece"]: entry["branch"] for entry in entries}
    assert list(branches.values()) == [
        "letters", "contraction", "letters", "space", "number", "number", "punctuation", "spaces", "letters",
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(256, TOKENIZER.vocab_size, 7))
def test_the_tree_of_a_token_has_its_bytes_as_leaves_and_each_merge_was_later_than_its_parts(number: int):
    tree = explain.merge_tree(TOKENIZER, number)
    if number in TOKENIZER.special.values():
        assert tree["rank"] is None and tree["parts"] == []
        return
    assert "".join(leaves(tree)) == TOKENIZER.token_bytes(number).hex() and all(len(leaf) == 2 for leaf in leaves(tree))
    for node in nodes(tree):
        assert all(part["rank"] < node["rank"] for part in node["parts"]) and len(node["parts"]) in (0, 2)


@given(st.text(min_size=1, max_size=20))
@settings(deadline=None)
def test_the_steps_of_a_piece_begin_with_its_bytes_end_with_its_tokens_and_join_one_pair_each(text: str):
    piece = TOKENIZER.pieces(text)[0].text
    stages = explain.steps(TOKENIZER, piece)
    assert [part["bytes"] for part in stages[0]] == [f"{byte:02x}" for byte in piece.encode()]
    assert [part["id"] for part in stages[-1]] == TOKENIZER.encode(piece).tolist()
    assert [len(stage) for stage in stages] == list(range(len(stages[0]), len(stages[-1]) - 1, -1))
    with pytest.raises(ValueError, match="a piece of 300 bytes"):
        explain.steps(TOKENIZER, "x" * 300)


@pytest.mark.parametrize("text", [*PROSE, ""])
def test_two_tokenizers_share_the_ends_that_both_have(text: str):
    both = explain.compare(SMALLER, TOKENIZER, text)
    assert both["tokens"] == [len(SMALLER.encode(text)), len(TOKENIZER.encode(text))]
    assert both["bytes"] == len(text.encode()) and both["tokens"][0] >= both["tokens"][1]
    for end in both["shared_ends"]:
        head = text.encode()[:end]
        for tokenizer in (SMALLER, TOKENIZER):
            ids = tokenizer.encode(text).tolist()
            assert any(tokenizer.decode_bytes(ids[:count]) == head for count in range(len(ids) + 1))
