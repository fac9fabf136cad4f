"""Tests of lesson 8's exercise: your `looking.py`."""

from random import Random

import numpy as np
from expect import gives
from looking import bits_per_byte, draw, kept, probabilities

from glassmill.evals import bits_per_byte as theirs
from glassmill.infer import sampling

LOGITS = [2.0, 1.0, 0.5, -1.0]


def test_probabilities_add_up_and_keep_the_order() -> None:
    got = probabilities(LOGITS, 1.0)
    assert abs(sum(got) - 1) < 1e-9 and got == sorted(got, reverse=True), got
    gives(lambda logits: probabilities(logits, 1.0)[0], [0.0, 0.0], wanted=0.5)


def test_a_temperature_sharpens_or_flattens() -> None:
    first = [probabilities(LOGITS, temperature)[0] for temperature in (0.1, 1.0, 10.0)]
    assert first[0] > 0.99 > first[1] > first[2] > 0.25, f"of the likeliest token: {first}"


def test_large_logits_do_not_overflow() -> None:
    gives(lambda logits: probabilities(logits, 1.0)[0], [1000.0, 0.0], wanted=1.0)


def test_top_k_and_top_p_keep_the_likeliest() -> None:
    chances = [0.1, 0.4, 0.2, 0.3]
    gives(lambda *cut: sorted(kept(chances, *cut)), 0, 1.0, wanted=[0, 1, 2, 3])
    gives(lambda *cut: sorted(kept(chances, *cut)), 2, 1.0, wanted=[1, 3])
    gives(lambda *cut: sorted(kept(chances, *cut)), 0, 0.6, wanted=[1, 3])
    gives(lambda *cut: sorted(kept(chances, *cut)), 0, 0.01, wanted=[1])
    gives(lambda *cut: sorted(kept(chances, *cut)), 3, 0.75, wanted=[1, 3])
    gives(lambda: sum(kept(chances, 2, 0.9).values()), wanted=1.0)


def test_glassmill_keeps_the_same() -> None:
    chance = Random(5)
    for _ in range(200):
        logits = [chance.gauss(0, 2) for _ in range(chance.randint(2, 40))]
        temperature, top_k, top_p = chance.uniform(0.3, 2), chance.randint(0, 10), chance.uniform(0.1, 0.99)
        ids, wanted = sampling.kept_tokens(np.array(logits, np.float32), temperature, top_k, top_p, 0.0)
        got = kept(probabilities(logits, temperature), top_k, top_p)
        assert list(got) == ids.tolist(), f"top_k={top_k}, top_p={top_p:.2f}: {list(got)}, not {ids.tolist()}"
        assert max(abs(left - right) for left, right in zip(got.values(), wanted, strict=True)) < 1e-5


def test_the_number_falls_into_one_tokens_part() -> None:
    chances = {3: 0.5, 7: 0.25, 9: 0.25}
    for uniform, wanted in ((0.0, 3), (0.49, 3), (0.5, 7), (0.74, 7), (0.75, 9), (0.999999, 9)):
        gives(draw, chances, uniform, wanted=wanted)
    gives(draw, {1: 0.1, 2: 0.2, 4: 0.69999999999}, 0.9999999999999, wanted=4)


def test_bits_per_byte_is_that_of_glassmill() -> None:
    sizes = np.array([1, 3, 0, 2, 5])
    losses = np.array([[0.5, 2.0, 9.0, 1.0]], dtype=np.float32)

    class Known:
        def token_losses(self, windows_BT: np.ndarray) -> np.ndarray:
            return losses

    ids = np.array([0, 1, 3, 2, 4])
    wanted = theirs.bits_per_byte(Known(), ids, sizes, context_length=4)
    gives(bits_per_byte, losses[0].tolist(), sizes[ids[1:]].tolist(), wanted=wanted)


def test_a_coin_for_every_byte_is_one_bit() -> None:
    gives(bits_per_byte, [0.6931471805599453] * 3, [1, 1, 1], wanted=1.0)
