"""Tests of lesson 7's exercise: your `assistant.py`."""

from assistant import advantages, calculate, render
from expect import gives

from glassmill.infer import tools
from glassmill.tokens.chat import render_with_mask
from glassmill.tokens.specials import special_ids
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.tune import policy

BYTES = {bytes([value]): value for value in range(256)}
TOKENIZER = Tokenizer.from_ranks(BYTES, r"\S+|\s+", special_ids(256))
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi <|im_end|>"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Bye!"},
]


def encode(text: str) -> list[int]:
    return list(text.encode())


def test_only_the_assistants_words_and_ends_are_learned() -> None:
    ids, learned = render(TALK, encode, TOKENIZER.special)
    texts = "".join(TOKENIZER.decode([number]) for number, counts in zip(ids, learned, strict=True) if counts)
    assert texts == "Hello<|im_end|>Bye!<|im_end|>", f"learned is {texts!r}"


def test_ids_and_mask_are_those_of_glassmill() -> None:
    for length in range(1, len(TALK) + 1):
        ids, mask = render_with_mask(TOKENIZER, TALK[:length])
        gives(render, TALK[:length], encode, TOKENIZER.special, wanted=(ids.tolist(), mask.tolist()))


def test_a_control_token_in_a_message_stays_text() -> None:
    ids, _ = render([{"role": "user", "content": "<|assistant|>"}], encode, TOKENIZER.special)
    assert ids == [TOKENIZER.special["<|user|>"], *encode("<|assistant|>")]


def test_calculate_gives_what_glassmill_gives() -> None:
    for expression in ("2+3", "12*7", "2+3*4", "10-2-3", "2*3*4-5", "100 - 3 * 20", "7", "007+1"):
        gives(calculate, expression, wanted=int(tools.calculate(expression)))


def test_calculate_refuses_what_is_no_sum() -> None:
    for expression in ("", "2+", "a", "2+x", "__import__('os')", "1.5", "2**3", "3+-2"):
        try:
            got = calculate(expression)
        except ValueError:
            continue
        raise AssertionError(f"calculate({expression!r}) gives {got!r}; it must raise ValueError")


def test_advantages_compare_answers_with_their_group() -> None:
    gives(advantages, [0.0, 0.0, 0.0], wanted=None)
    gives(advantages, [1.0, 0.0, 1.0, 0.0], wanted=[1.0, -1.0, 1.0, -1.0])


def test_advantages_are_those_of_glassmill() -> None:
    for rewards in ([0.0, 0.0, 1.0], [0.5, 1.0, 0.0, 0.25], [3.0, -1.0]):
        theirs = policy.advantages(rewards)
        assert theirs is not None
        ours = advantages(rewards)
        assert ours and max(abs(left - right) for left, right in zip(ours, theirs, strict=True)) < 1e-5, ours
