"""A reader sees whole characters, never a stop string, never a control token; in pieces or at once, the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.infer.compose import Composer, Delta, HeldText, TokenRecord, ToolUse
from glassmill.infer.sampling import SamplingParams
from glassmill.tokens.streams import ByteStream

CALL, RESULT, END, IM_END = 259, 260, 261, 258


class Bytes:
    """Id = byte, named control tokens behind them."""

    special = {"<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258}  # noqa: RUF012
    special |= {"<|tool_call|>": CALL, "<|tool_result|>": RESULT, "<|tool_end|>": END}
    stop_ids = (256, 258)

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        named = {number: name.encode() for name, number in self.special.items()}
        return named.get(token) or bytes([token])

    def stream(self, before: Sequence[int] = ()) -> ByteStream:
        return ByteStream(self)


def run(tokens: list[int], max_tokens: int = 1000, **params: Any) -> list[Delta]:
    """The deltas of a completion that draws `tokens`, forced ones put between as the engine does."""
    composer = Composer(Bytes(), SamplingParams(**params), max_tokens)
    waiting, deltas = list(tokens), []
    while composer.finish_reason is None and (waiting or composer.forced):
        delta = composer.push(composer.forced.popleft() if composer.forced else waiting.pop(0))
        deltas += [delta] if delta else []
    return deltas


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


@given(data=st.binary(max_size=60))
def test_pieces_add_up_to_the_whole_decoded_at_once(data: bytes) -> None:
    assert text_of(run([*data, IM_END])) == data.decode(errors="replace")


@given(text=st.text(max_size=40))
def test_no_piece_holds_half_a_character(text: str) -> None:
    assert all("\ufffd" not in delta.text for delta in run([*text.encode(), IM_END]) if "\ufffd" not in text)


@given(
    text=st.text(alphabet="abé ", max_size=40),
    stops=st.lists(st.text(alphabet="abé ", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_text_ends_before_the_first_stop_string_and_shows_nothing_of_it(text: str, stops: list[str]) -> None:
    deltas = run([*text.encode(), IM_END], stop=tuple(stops))
    # the reference reads token by token: the first prefix that holds a stop string decides
    expected = text
    for end in range(len(text) + 1):
        places = [text[:end].find(stop) for stop in stops if stop in text[:end]]
        if places:
            expected = text[: min(places)]
            break
    assert text_of(deltas) == expected
    assert deltas[-1].finish_reason == "stop"


@given(data=st.binary(max_size=40), stops=st.lists(st.text(alphabet="ab", min_size=1, max_size=3), max_size=2))
def test_the_tokens_of_the_deltas_are_the_tokens_of_the_text(data: bytes, stops: list[str]) -> None:
    deltas = run([*data, IM_END], stop=tuple(stops))
    records = [record for delta in deltas for record in delta.tokens]
    assert [record.token for record in records] == [*data, IM_END][: len(records)]
    visible = b"".join(record.piece for record in records).decode(errors="replace")
    assert visible.startswith(text_of(deltas).rstrip("\ufffd"))


def test_text_that_may_begin_a_stop_string_is_held_back_until_it_is_decided() -> None:
    held = HeldText(["\n\n"], ByteStream(Bytes()))
    shown = [held.push(TokenRecord(byte, bytes([byte])))[0] for byte in b"a\nb\n\nc"]
    assert shown[:5] == ["a", "", "\nb", "", ""]
    assert held.stopped


@pytest.mark.parametrize(
    ("written", "use"),
    [
        (b"12*7", ToolUse("12*7", "84")),
        (b" 2/3 ", ToolUse("2/3", "0.6666666667")),
        (b"9**9**9", ToolUse("9**9**9", "error")),
        (b"import os", ToolUse("import os", "error")),
        (b"\xff", ToolUse("\ufffd", "error")),
        (b"", ToolUse("", "error")),
    ],
)
def test_a_calculation_is_forced_and_set_apart_from_the_text(written: bytes, use: ToolUse) -> None:
    deltas = run([*b"So: ", CALL, *written, RESULT, *b"that.", IM_END], tools=True)
    assert [delta.tool for delta in deltas if delta.tool] == [use]
    assert text_of(deltas) == "So: that."
    records = [record for delta in deltas for record in delta.tokens]
    forced = [record.token for record in records][4 + 1 + len(written) + 1 :]
    assert forced[: len(use.result) + 1] == [*use.result.encode(), END]
    assert [record.token for record in records if record.forced] == [*use.result.encode(), END]


def test_a_call_that_never_ends_is_forgotten_and_costs_at_most_64_tokens() -> None:
    deltas = run([CALL, *b"1+" * 40, *b"x", IM_END], tools=True)
    assert not any(delta.tool for delta in deltas)
    assert text_of(deltas).endswith("x")


def test_without_tools_control_tokens_are_invisible_and_nothing_is_forced() -> None:
    deltas = run([*b"a", CALL, *b"1+1", RESULT, *b"b", IM_END])
    assert text_of(deltas) == "a1+1b"


def test_the_last_allowed_token_ends_the_completion_and_brings_what_was_held_back() -> None:
    deltas = run([*"aé".encode()], max_tokens=2)
    assert text_of(deltas) == "a\ufffd"
    assert [delta.finish_reason for delta in deltas] == [None, "length"]


def test_control_tokens_that_are_asked_for_stand_in_the_text_by_their_names() -> None:
    deltas = run([104, 257, 105, CALL, 106, IM_END], shown_ids=frozenset({257, CALL}), stop=("ij",))
    assert "".join(delta.text for delta in deltas) == "h<|im_start|>i<|tool_call|>j"
