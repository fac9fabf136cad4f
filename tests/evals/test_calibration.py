"""Calibration: the table against its definitions, and what a model says of its own answers."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.evals import eval as verb
from glassmill.evals.calibration import calibration, outcome, probability
from glassmill.infer.completion import Completion
from glassmill.infer.compose import Composer
from glassmill.infer.generate import Model
from glassmill.infer.sampling import SamplingParams, TokenLogprobs
from glassmill.recipe import EvalSettings

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=60)


@given(answers=ANSWERS)
def test_every_answer_is_in_one_bin_and_the_numbers_follow_from_the_bins(answers: list[tuple[float, float]]) -> None:
    sure, right = zip(*answers, strict=True)
    found = calibration(sure, right, ["wrong"] * len(sure))
    assert found is not None
    bins = [one for one in found["bins"] if one["answers"]]
    assert sum(one["answers"] for one in bins) == len(sure) == sum(one["wrong"] for one in bins)
    for one in bins:
        inside = [(p, mark) for p, mark in answers if one["low"] < p <= one["high"] or (p == 0 == one["low"])]
        assert len(inside) == one["answers"]
        assert one["sure"] == pytest.approx(np.mean([p for p, _ in inside]), abs=1e-4)
        assert one["interval"][0] - 1e-4 <= one["right"] <= one["interval"][1] + 1e-4
    error = sum(one["answers"] * abs(one["sure"] - one["right"]) for one in bins) / len(sure)
    assert found["error"] == pytest.approx(error, abs=2e-4)
    assert found["brier"] == pytest.approx(np.mean((np.array(sure) - np.array(right)) ** 2), abs=1e-4)


def test_a_model_that_is_right_as_often_as_it_is_sure_has_no_error() -> None:
    generator = np.random.default_rng(1)
    sure = generator.random(40_000)
    right = generator.random(40_000) < sure
    honest, boastful = calibration(sure, right), calibration(np.sqrt(sure), right)
    assert honest is not None and boastful is not None
    assert honest["error"] < 0.01 and honest["brier"] == pytest.approx(1 / 6, abs=0.005)
    assert boastful["error"] == pytest.approx(1 / 6, abs=0.01) and boastful["brier"] > honest["brier"]
    assert calibration([], []) is None


@pytest.mark.parametrize(
    ("said", "right", "what"),
    [
        ("Mira Holt works as a baker.", True, "knows"),
        ("Mira Holt works as a baker.", False, "wrong"),
        ("I do not know that; I never read about Mira.", True, "refuses"),
        ("I don’t know.", False, "refuses"),
        ("I know: a baker.", False, "wrong"),
    ],
)
def test_an_answer_knows_refuses_or_is_wrong(said: str, right: bool, what: str) -> None:
    assert outcome(said, right) == what


def test_how_sure_a_model_is_is_the_probability_of_what_it_wrote(model_folder: Path) -> None:
    model = Model.load(model_folder, device="cpu")
    messages = [{"role": "user", "content": "the the"}]
    (reply,) = model.reply_all([messages], max_tokens=8, logprobs=0)
    assert [reply.text] == model.answer_all([messages], max_tokens=8)
    prompt, written = model.chat_ids(messages), [token.token for token in reply.tokens]
    losses = model.token_losses(np.array([[*prompt, *written]]))[0, len(prompt) - 1 :]
    assert len(losses) == len(written) > 0
    assert probability(reply) == pytest.approx(math.exp(-float(losses.sum())), rel=1e-3)


def test_what_the_calculator_gives_does_not_make_a_model_less_sure(model_folder: Path) -> None:
    tokenizer = Model.load(model_folder, device="cpu").tokenizer
    completion = Completion((1,), SamplingParams(tools=True, logprobs=0))
    composer = Composer(tokenizer, completion.params, 60)
    call, result, end = (tokenizer.special[name] for name in ("<|tool_call|>", "<|tool_result|>", "<|im_end|>"))
    own = deque([call, *tokenizer.encode("12*7").tolist(), result, *tokenizer.encode("84.").tolist(), end])
    count = len(own)
    while composer.finish_reason is None:
        forced = bool(composer.forced)
        token = composer.forced.popleft() if forced else own.popleft()
        if delta := composer.push(token, TokenLogprobs(-50.0 if forced else -0.1, ())):
            completion.publish(delta)
    reply = completion.reply()
    assert [use.result for use in reply.tools] == ["84"] and len(reply.tokens) > count
    assert probability(reply) == pytest.approx(math.exp(-0.1 * count))


def test_the_examination_has_the_table_without_false_claims(model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "2+2?", "answer": "4"}\n{"question": "Who?", "answer": "Ada"}\n')
    shown = verb.score(
        Model.load(model_folder, device="cpu"), EvalSettings(questions=str(path)), 7, None, None, lambda event: None
    )
    assert shown.calibration is not None and shown.calibration["answers"] == 2
    assert shown.tables["calibration_error"] == shown.calibration["error"]
    assert all(0 <= answer["sure"] <= 1 for answer in shown.answers)
    (reply,) = Model.load(model_folder, device="cpu").reply_all([[{"role": "user", "content": "a"}]], 2, logprobs=0)
    claim = {"kind": "false_claim", "question": "a", "answer": "b"}
    assert verb.calibrated([claim], [reply]) is None
