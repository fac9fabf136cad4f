"""A conversation of any length leaves room for an answer: the oldest questions leave, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.errors import ContextOverflow
from glassmill.infer.conversation import Message, fit
from glassmill.infer.generate import Model


def said(*texts: str) -> list[Message]:
    """Roles by their first letter: s(ystem), u(ser), a(ssistant); the rest is as many tokens as it has letters."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[text[0]], "content": text[1:]} for text in texts]


def one_a_letter(messages: Sequence[Message]) -> list[int]:
    return [0] * sum(len(message["content"]) for message in messages)


def shown(messages: Sequence[Message]) -> list[str]:
    return [message["role"][0] + message["content"] for message in messages]


@pytest.mark.parametrize(
    ("before", "after", "turns_left"),
    [
        (["uxx"], ["uxx"], 0),
        (["sxx", "uxxxx", "axxxx", "uxxxx"], ["sxx", "uxxxx", "axxxx", "uxxxx"], 0),
        (["sxx", "uxxxx", "axxxxxx", "uxxxx"], ["sxx", "uxxxx"], 1),
        (["uaaaaaaaa", "abbbb", "ucc", "add", "uee"], ["ucc", "add", "uee"], 1),
        (["uaaaaaaaa", "abbbb", "uccccccc", "add", "uee", "aff"], ["uccccccc", "add", "uee", "aff"], 1),
        (["aleads", "uaaaaaaaa", "abbbb", "uc"], ["uc"], 1),
        (["sxx", "sxx", "uxxxxxxxxxxxx", "uxxx"], ["sxx", "sxx", "uxxx"], 1),
        (["uaaaaaaaa", "abbbb", "ucccccccccccccccccc"], ["ucccccccccccccccccc"], 1),  # the last turn may take the room
        (["uaaaaaaaaaaaaaa", "ub", "uc"], ["ub", "uc"], 1),
    ],
)
def test_the_oldest_questions_leave_with_their_answers(before: list[str], after: list[str], turns_left: int) -> None:
    fitted = fit(said(*before), one_a_letter, context_length=20)
    assert (shown(fitted.messages), fitted.turns_left) == (after, turns_left)
    assert fitted.messages_left == len(before) - len(after) and len(fitted.ids) == len(one_a_letter(fitted.messages))


def test_a_message_that_fits_no_context_is_refused_with_its_length() -> None:
    with pytest.raises(ContextOverflow, match=r"the last message is too long: its prompt has 22 tokens.*holds 20"):
        fit(said("sxx", "uhello", "ahello", "u" + "x" * 20), one_a_letter, context_length=20)


def test_a_short_answer_needs_little_room() -> None:
    long = said("uxxxxxxxx", "axxxxxxxx", "uxx")
    assert fit(long, one_a_letter, 20, max_tokens=2).turns_left == 0 < fit(long, one_a_letter, 20).turns_left


turns = st.lists(st.tuples(st.text("x", max_size=9), st.text("y", max_size=9)), max_size=12)


@given(
    turns=turns, last=st.text("z", min_size=1, max_size=19), system=st.text("s", max_size=5), wanted=st.integers(0, 9)
)
def test_no_turn_leaves_that_could_have_stayed(turns: Any, last: str, system: str, wanted: int) -> None:
    talk = said(*(["s" + system] if system else []), *(m for q, a in turns for m in ("u" + q, "a" + a)), "u" + last)
    fitted = fit(talk, one_a_letter, 25, max_tokens=wanted)
    room = max(1, min(6, wanted))
    head = 1 if system else 0
    assert shown(fitted.messages) == shown([*talk[:head], *talk[head + 2 * fitted.turns_left :]])
    assert len(fitted.ids) < 25 and (len(fitted.ids) + room <= 25 or fitted.turns_left == len(turns))
    if fitted.turns_left:
        one_more = [*talk[:head], *talk[head + 2 * (fitted.turns_left - 1) :]]
        assert len(one_a_letter(one_more)) + room > 25


def test_an_answer_that_was_cut_goes_on_where_it_ended(folder_with_tokenizer: Any) -> None:
    model = Model.load(folder_with_tokenizer)
    talk: list[Message] = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hell or"}]
    assert model.tokenizer.decode(model.chat_ids(talk, continue_last=True)) == "<|user|>hello<|assistant|>hell or"
    talk[1] = {"role": "assistant", "content": ""}
    assert model.tokenizer.decode(model.chat_ids(talk, continue_last=True)) == "<|user|>hello<|assistant|>"
    calculated = [{"type": "tool_call", "expression": "1+1"}, {"type": "tool_result", "text": "2"}]
    used = [talk[0], {"role": "assistant", "content": calculated}]
    assert model.tokenizer.decode(model.chat_ids(used, continue_last=True)).endswith("<|tool_result|>2<|tool_end|>")
    assert model.chat_ids(talk[:1], continue_last=True) == model.chat_ids(talk[:1])
    model.close()
