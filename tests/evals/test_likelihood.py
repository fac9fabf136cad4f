"""Likelihoods of texts that share beginnings equal those of each text read alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glassmill.evals.likelihood import ROWS, Scored, Text, score
from glassmill.infer.choose import load_decoder
from glassmill.infer.decoder import Decoder, whole_logits
from glassmill.infer.sampling import log_normalizers


@pytest.fixture(scope="module", params=["native", "torch"])
def decoder(request: pytest.FixtureRequest, model_folder: Path) -> Decoder:
    return load_decoder(model_folder, ROWS, request.param)


def alone(decoder: Decoder, text: Text) -> Scored:
    logits_TV = whole_logits(decoder, text.ids)[:-1]
    following = np.array(text.ids[1:])
    values = logits_TV[np.arange(len(following)), following] - log_normalizers(logits_TV)
    best = logits_TV.argmax(1) == following
    return Scored(values[text.start - 1 :], float(best[text.start - 1 :].all()))


def no_row_is_open(decoder: Decoder) -> bool:
    rows = [decoder.open_row() for _ in range(decoder.info.max_rows)]  # raises where all are open
    for row in rows:
        decoder.close_row(row)
    return len(rows) == ROWS


def random_ids(generator: np.random.Generator, count: int) -> list[int]:
    return [int(token) for token in generator.integers(0, 256, count)]


def groups() -> list[list[Text]]:
    generator = np.random.default_rng(5)
    made: list[list[Text]] = []
    for number in range(21):
        common = random_ids(generator, number % 7)
        texts = [[*common, *random_ids(generator, 2 + number % 5 + option % 3)] for option in range(1 + number % 4)]
        start = 1 + number % (len(common) + 1)
        made.append([Text(ids, min(start, len(ids) - 1)) for ids in texts])
    made.append([Text([1, 2, 3], 1), Text([1, 2, 3], 1)])  # the same text twice
    made.append([Text([1, 2, 3], 2), Text([1, 2, 3, 4], 2)])  # one goes on where the other ends
    made.append([Text([1, 2, 7], 2), Text([1, 5, 2, 7], 3)])  # a common end, behind different beginnings
    made.append([Text([1, 9], 1), Text([2, 9], 1)])  # nothing in common
    long = random_ids(generator, 120)
    made.append([Text([*long, 4, 5], 121), Text([*long, 6], 120)])
    return made


def test_they_equal_those_of_every_text_alone(decoder: Decoder) -> None:
    asked = groups()
    for texts, found in zip(asked, score(decoder, asked), strict=True):
        for text, one in zip(texts, found, strict=True):
            expected = alone(decoder, text)
            assert np.allclose(one.log_probabilities, expected.log_probabilities, atol=2e-4), text
            assert one.greedy == expected.greedy
    assert no_row_is_open(decoder)


def test_what_every_group_begins_with_is_read_once(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(6)
    front = random_ids(generator, 60)
    asked = [[Text([*front, *random_ids(generator, 5)], 61) for _ in range(2)] for _ in range(60)]
    read = 0
    forward = decoder.forward

    def counted(pieces):  # type: ignore[no-untyped-def]
        nonlocal read
        read += sum(len(piece.ids) for piece in pieces)
        return forward(pieces)

    monkeypatch.setattr(decoder, "forward", counted)
    found = list(score(decoder, asked))
    monkeypatch.undo()
    assert read < 60 * 40  # in the first wave everybody reads all 60, then nobody
    for texts, scored in zip(asked[-3:], found[-3:], strict=True):
        for text, one in zip(texts, scored, strict=True):
            assert np.allclose(one.log_probabilities, alone(decoder, text).log_probabilities, atol=2e-4)


def test_a_decoder_that_fails_is_left_without_open_rows(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = decoder.forward, iter(range(9))

    def failing(pieces):  # type: ignore[no-untyped-def]
        if next(calls):
            raise ValueError("the second pass")
        return forward(pieces)

    monkeypatch.setattr(decoder, "forward", failing)
    with pytest.raises(ValueError, match="second"):
        list(score(decoder, [[Text([1, 2, 3], 1), Text([1, 5, 3], 1)]]))
    monkeypatch.undo()
    assert no_row_is_open(decoder)
