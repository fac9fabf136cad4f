"""Attention within documents: a window of two documents is two windows, by autograd and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.recipe import TrainSettings
from glassmill.tokens.shards import Shards
from glassmill.train import fused_attention
from glassmill.train.batches import WindowBatches
from glassmill.train.gradients import Batch, FusedGradients, make_gradients
from glassmill.train.plan import set_up
from glassmill.train.trainer import Trainer
from tests.train.builders import MODEL
from tests.train.test_gradients import SHAPES, random_model

Town = tuple[Path, Path]
END = 0


def documents(lengths: tuple[int, ...], vocabulary: int, seed: int) -> list[Tensor]:
    """Documents of these lengths, each behind an end of text."""
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randint(1, vocabulary, (length,), generator=generator) for length in lengths]
    for ids in found:
        ids[0] = END
    return found


def batch_of(rows: list[list[Tensor]]) -> Batch:
    """Rows of documents; each predicts its own next ids, and its last id the first of the vocabulary."""
    ids = torch.stack([torch.cat(row) for row in rows])
    targets = torch.stack([torch.cat([torch.cat([part[1:], part.new_zeros(1)]) for part in row]) for row in rows])
    return Batch(ids, targets, torch.full(ids.shape, 1 / ids.numel()))


def alone(model: Transformer, rows: list[list[Tensor]]) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the documents one by one, by the plain way."""
    model.zero_grad(set_to_none=True)
    total = torch.zeros(())
    count = sum(len(part) for row in rows for part in row)
    for part in (part for row in rows for part in row):
        ids, targets, _ = batch_of([[part]])
        total = total + model(ids, targets).sum() / count
    total.backward()
    return float(total.detach()), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("shape", ["qwen3, grouped queries, own head", "longer than a block of queries"])
@pytest.mark.parametrize("way", ["fused", "autograd"])
@pytest.mark.parametrize("kept", [1024, 32])
def test_a_window_of_two_documents_has_loss_and_gradients_of_the_two_alone(
    shape: str, way: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_attention, "KEPT", kept)
    model = random_model(SHAPES[shape])
    length, vocabulary = model.config.context_length, model.config.vocab_size
    cuts = (length // 3, length // 2 + 1, length)
    rows = [documents((cut, length - cut) if cut < length else (cut,), vocabulary, cut) for cut in cuts]
    expected_loss, expected = alone(model, rows)
    gradients = make_gradients(model, 3, length, 2 * length, torch.float32, step=way, document_end=END)  # type: ignore[arg-type]
    assert isinstance(gradients, FusedGradients) == (way == "fused")
    assert gradients(batch_of(rows)) == pytest.approx(expected_loss, rel=1e-5)
    for name, parameter in model.named_parameters():
        largest = expected[name].abs().max()
        torch.testing.assert_close(parameter.grad / largest, expected[name] / largest, atol=1e-5, rtol=0, msg=name)
    across = make_gradients(model, 3, length, 2 * length, torch.float32, step=way)(batch_of(rows))  # type: ignore[arg-type]
    assert abs(across - expected_loss) > 1e-4 * expected_loss


def test_bfloat16_products_keep_documents_apart_too() -> None:
    model = random_model(SHAPES["longer than a block of queries"])
    first, second, other = documents((40, 60, 40), 67, 5)
    by_hand, by_autograd = (
        [
            make_gradients(model, 1, 100, 100, torch.bfloat16, step, END)(batch_of([[start, second]]))  # type: ignore[arg-type]
            for start in (first, other)
        ]
        for step in ("fused", "autograd")
    )
    expected = [alone(model, [[start, second]])[0] for start in (first, other)]
    assert by_hand == pytest.approx(expected, rel=2e-2) and by_autograd == pytest.approx(expected, rel=2e-2)


def test_a_training_asks_for_it_by_its_setting_and_the_last_look_sees_the_same(town: Town) -> None:
    settings = TrainSettings(steps=2, batch_tokens=128, micro_batch_tokens=64, threads=1)
    batches = WindowBatches(Shards(town[0], "train"), 4, 32, seed=3)
    losses = []
    for end in (None, batches.shards.eos_id):
        batches.document_end = end
        for step in ("fused", "autograd"):
            model = Transformer(ModelConfig(vocab_size=batches.shards.vocab_size, **MODEL.shape()))
            initialize(model, 1)
            for layer in model.model.layers:
                torch.nn.init.normal_(
                    layer.self_attn.o_proj.weight, std=0.3, generator=torch.Generator().manual_seed(1)
                )  # type: ignore[union-attr]
            setup = set_up(settings.model_copy(update={"step": step, "dtype": "float32"}), 32)
            trainer = Trainer(model, batches, settings, setup)
            before = trainer.loss_now(0)
            losses.append(trainer.gradients(trainer.batch(0)))
            assert losses[-1] == pytest.approx(before, rel=1e-5)
    across, across_too, within, within_too = losses
    assert across == pytest.approx(across_too, rel=1e-5) and within == pytest.approx(within_too, rel=1e-5)
    assert within != pytest.approx(across, rel=1e-4)
