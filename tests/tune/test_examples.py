"""What is learned of a conversation, what is cut, and what is left out, with counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.recipe import SftSettings
from glassmill.tokens.chat import render
from glassmill.tokens.specials import CHAT_TEMPLATE
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.rates import is_own, settled
from glassmill.tune.before import check_length
from glassmill.tune.examples import examples
from glassmill.tune.reading import Placed
from glassmill.tune.shapes import conversation_of
from tests.tokens.builders import small_tokenizer

CHATML = (
    "{% for m in messages %}<|user|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module", params=[CHAT_TEMPLATE, CHATML], ids=["own", "jinja"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    made = small_tokenizer(300)
    made.chat_template = request.param
    return made


def placed(*rows: Any) -> list[Placed]:
    return [Placed(conversation_of(row), f"x.jsonl, line {number}") for number, row in enumerate(rows, start=1)]


def talk(*turns: str, **weights: int) -> dict[str, Any]:
    """A conversation of alternating turns; `w1=0`: the second message has weight 0."""
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[n % 2], "content": text} | ({"weight": weights[f"w{n}"]} if f"w{n}" in weights else {})
            for n, text in enumerate(turns)
        ]
    }


def learned_text(tokenizer: Tokenizer, example: Any) -> str:
    return tokenizer.decode([int(i) for i, own in zip(example.ids, example.mask, strict=True) if own])


def test_answers_of_weight_0_are_read_and_not_learned(tokenizer: Tokenizer) -> None:
    row = talk("a?", "First.", "b?", "Second.", "c?", "Third.", w1=0, w5=0)
    (example,), counts = examples(tokenizer, placed(row), 999)
    text = learned_text(tokenizer, example)
    assert "Second." in text and "First" not in text and "Third" not in text
    (whole,), _ = examples(tokenizer, placed(talk("a?", "First.", "b?", "Second.", "c?", "Third.")), 999)
    assert np.array_equal(whole.ids, example.ids) and counts.taught == 1


OTHERWISE = {
    "earlier turns are written differently": CHATML.replace(
        "{{ m['content'] }}", "{% if not loop.last %}(before) {% endif %}{{ m['content'].split('</think>')[-1] }}"
    ),
    "earlier turns lose their capitals": CHATML.replace(
        "{{ m['content'] }}", "{{ m['content'] if loop.last else m['content'] | lower }}"
    ),
    "the template says what is learned": CHATML.replace(
        "{{ m['content'] }}<|im_end|>",
        "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}"
        "{% else %}{{ m['content'] }}<|im_end|>{% endif %}",
    ),
}


@pytest.mark.parametrize("template", OTHERWISE)
@pytest.mark.parametrize("silent", [(1,), (3,), (5,), (1, 3), (1, 5), (3, 5)])
def test_weight_0_is_obeyed_whatever_the_template_does_with_history(template: str, silent: tuple[int, ...]) -> None:
    made = small_tokenizer(300)
    made.chat_template = OTHERWISE[template]
    said = ["a?", "<think>x</think>First.", "b?", "Second.", "c?", "", "d?", "Fourth."]
    (example,), _ = examples(made, placed(talk(*said, **{f"w{number}": 0 for number in silent})), 999)
    (whole,), _ = examples(made, placed(talk(*said)), 999)
    assert np.array_equal(example.ids, whole.ids) and not (example.mask & ~whole.mask).any()
    text = learned_text(made, example).lower()
    for number, word in ((1, "first"), (3, "second"), (7, "fourth")):
        assert (word in text) == (number not in silent)
    learned = 4 - len({*silent, 5})  # the empty one never is
    assert text.count("<|im_end|>") == learned and (example.mask.sum() == whole.mask.sum()) == (silent == (5,))


def test_a_long_conversation_is_cut_at_a_turn_and_counted(tokenizer: Tokenizer) -> None:
    turns = [f"number {n}" for n in range(20)]
    fitting = len(render(tokenizer, conversation_of(talk(*turns[:6])).messages, add_generation_prompt=False))
    (example,), counts = examples(tokenizer, placed(talk(*turns)), fitting)
    assert len(example.ids) == fitting
    (shorter,), _ = examples(tokenizer, placed(talk(*turns)), fitting + 3)
    assert np.array_equal(shorter.ids, example.ids)
    assert counts.stats()["cut_at_turn"] == 1
    (warning,) = counts.warnings(fitting)
    assert "1 of 1 conversations are longer than a row" in warning and "x.jsonl, line 1" in warning


def test_a_first_answer_that_is_too_long_is_cut_and_a_prompt_that_is_teaches_nothing(tokenizer: Tokenizer) -> None:
    long = "word " * 200
    (example,), counts = examples(tokenizer, placed(talk("a?", long), talk(long, "Yes.")), 64)
    assert len(example.ids) == 64 and example.mask[-1]
    assert counts.found == {"cut_in_answer": 1, "too_long": 1} and counts.taught == 1
    assert any("line 2" in text and "no answer begins" in text for text in counts.warnings(64))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"messages": []}] * 4, "4 of 4 conversations teach nothing: no message of the assistant"),
        ([talk("a?", "")] * 3, "3 of 3 answers are empty.*3 of 3 conversations teach nothing"),
        ([talk("a?")], "1 of 1 conversations teach nothing"),
        ([talk("a?", "Yes.", w1=0)] * 2, "2 of 2 conversations teach nothing"),
        ([talk("word " * 200, "Yes.")] * 5, "5 of 5 conversations teach nothing: no answer begins within a row of 64"),
    ],
)
def test_nothing_to_learn_is_an_error_with_counts(tokenizer: Tokenizer, rows: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=f"nothing to learn: .*{message}"):
        examples(tokenizer, placed(*rows), 64)


def test_empty_answers_among_others_are_counted_and_not_learned(tokenizer: Tokenizer) -> None:
    found, counts = examples(tokenizer, placed(talk("a?", "", "b?", "Yes."), talk("a?", ""), talk("a?", "No.")), 999)
    assert counts.found == {"empty_answers": 2, "no_answer": 1} and len(found) == counts.taught == 2
    assert learned_text(tokenizer, found[0]).startswith("Yes.")


# --- rates ---------------------------------------------------------------------------------------------------------

SMALL = ModelConfig(49_152, 576, 30, 9, 3, 64, 1536, 8192)
LARGE = ModelConfig(128_000, 4096, 32, 32, 8, 128, 14_336, 8192)
OWN, IMPORTED = {"stage": "train"}, {"imported_from": "x.gguf"}


def test_an_imported_model_gets_small_steps_of_adamw_and_a_larger_one_smaller_steps() -> None:
    small, large = (settled(SftSettings(), config, IMPORTED) for config in (SMALL, LARGE))
    assert small.optimizer == large.optimizer == "adamw"
    assert 1e-5 <= large.peak_lr < small.peak_lr <= 2e-4 and small.embedding_lr == small.peak_lr
    muon = settled(SftSettings(optimizer="muon"), SMALL, IMPORTED)
    assert muon.peak_lr <= 0.001


def test_a_model_trained_here_keeps_muon_and_what_is_set_stays() -> None:
    own = settled(SftSettings(), SMALL, OWN)
    assert (own.optimizer, own.peak_lr, own.embedding_lr) == ("muon", 0.006, 0.0012)
    assert settled(SftSettings(), replace(SMALL, tie_embeddings=False), OWN).embedding_lr == 0.0004
    assert settled(SftSettings(optimizer="adamw"), SMALL, OWN).peak_lr == 0.001
    given = settled(SftSettings(optimizer="adamw", peak_lr=3e-3, embedding_lr=1e-3, length=32), SMALL, IMPORTED)
    assert (given.optimizer, given.peak_lr, given.embedding_lr, given.length) == ("adamw", 3e-3, 1e-3, 32)


@pytest.mark.parametrize(
    ("meta", "own"),
    [(OWN, True), (IMPORTED, False), ({}, False), ({"stage": "sft", "base": OWN}, True),
     ({"stage": "sft", "base": IMPORTED}, False), ({"stage": "sft", "base": {"stage": "sft", "base": OWN}}, True)],
)  # fmt: skip
def test_where_a_model_comes_from(meta: dict[str, Any], own: bool) -> None:
    assert is_own(meta) is own


def test_rows_longer_than_the_context_are_refused_and_shorter_by_default() -> None:
    short = ModelConfig(512, 32, 1, 1, 1, 32, 64, context_length=100)
    assert settled(SftSettings(), short, OWN).length == 100
    with pytest.raises(UserError, match=r"sft.length = 128 is longer than the model's context of 100"):
        check_length(SftSettings(length=128), short)
    with pytest.raises(
        UserError, match=r"sft.batch_tokens = 1000 is not a multiple .* = 64; set sft.batch_tokens=1024"
    ):
        check_length(SftSettings(length=64, batch_tokens=1000), short)
