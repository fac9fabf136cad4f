"""Tests of lesson 6's exercise: your `transformer.py`."""

import torch
from torch.nn import functional as F
from transformer import attend, loss, windows

from glassmill.model import attention


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_windows_have_their_targets_one_place_further() -> None:
    inputs, targets = windows(torch.arange(100), rows=5, length=8, generator=chance())
    assert inputs.shape == targets.shape == (5, 8), f"shapes {tuple(inputs.shape)} and {tuple(targets.shape)}"
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs, inputs[:, :1] + torch.arange(8))


def test_windows_begin_everywhere_even_at_the_last_place_that_fits() -> None:
    inputs, _ = windows(torch.arange(6), rows=200, length=3, generator=chance())
    begins = set(inputs[:, 0].tolist())
    assert begins == {0, 1, 2}, f"of 6 ids, windows of 3 begin at {begins}"


def test_the_generator_decides_the_windows() -> None:
    ids = torch.arange(1000)
    (one, _), (same, _), (other, _) = (windows(ids, 4, 8, chance(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def qkv(T: int = 7, N: int = 3, H: int = 4) -> list[torch.Tensor]:
    generator = chance()
    return [torch.randn(2, T, N, H, generator=generator) for _ in range(3)]


def test_attention_is_that_of_glassmill() -> None:
    q, k, v = qkv()
    got = attend(q, k, v)
    assert got.shape == q.shape, f"the shape is {tuple(got.shape)}, not {tuple(q.shape)}"
    torch.testing.assert_close(got, attention.attend(q, k, v, None, causal=True))


def test_no_position_sees_a_later_one() -> None:
    q, k, v = qkv()
    before = attend(q, k, v)
    k[:, 4:], v[:, 4:] = 100.0, -100.0
    torch.testing.assert_close(attend(q, k, v)[:, :4], before[:, :4])


def test_the_first_position_sees_only_itself() -> None:
    q, k, v = qkv()
    torch.testing.assert_close(attend(q, k, v)[:, 0], v[:, 0])


def test_the_loss_is_the_cross_entropy() -> None:
    logits = torch.randn(2, 5, 11, generator=chance())
    targets = torch.randint(11, (2, 5), generator=chance())
    torch.testing.assert_close(loss(logits, targets), F.cross_entropy(logits.flatten(0, 1), targets.flatten()))


def test_who_knows_nothing_loses_the_logarithm_of_the_vocabulary() -> None:
    got = loss(torch.zeros(1, 3, 64), torch.tensor([[1, 2, 3]]))
    torch.testing.assert_close(got, torch.tensor(64.0).log())


def test_large_logits_do_not_overflow() -> None:
    got = loss(torch.tensor([[[1000.0, 0.0]]]), torch.tensor([[0]]))
    assert got.item() == 0, f"the loss is {got.item()}"
