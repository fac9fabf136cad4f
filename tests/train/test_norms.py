"""What is measured of single steps: gradient norms and update-to-weight ratios by group, the share of the peak."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.run import kinds
from glassmill.run.device import resolve
from glassmill.train import pace
from glassmill.train.norms import GROUPS, Before, group_of
from glassmill.train.peak import matrix_peak
from tests.train.builders import MODEL
from tests.train.test_train import Town, train_town


@pytest.mark.parametrize("tied", [True, False])
def test_norms_are_those_of_all_the_weights_of_a_group_together(tied: bool) -> None:
    model = Transformer(ModelConfig(vocab_size=64, **MODEL.model_copy(update={"tie_embeddings": tied}).shape()))
    initialize(model, 1)
    named = dict(model.named_parameters())
    for parameter in named.values():
        parameter.grad = torch.full_like(parameter, 0.5)
    before = Before(model, sharded=False)
    with torch.no_grad():
        for parameter in named.values():
            parameter.mul_(1.25 if parameter.ndim == 2 else 1.0)
    norms = before.after()
    sizes = {group: sum(p.numel() for name, p in named.items() if group_of(name) == group) for group in GROUPS}
    assert sizes["head"] == (0 if tied else 64 * MODEL.d_model)
    sizes = {group: size for group, size in sizes.items() if size}
    assert norms.gradients == pytest.approx({group: 0.5 * math.sqrt(size) for group, size in sizes.items()})
    assert norms.updates == pytest.approx({group: 0.0 if group == "norms" else 0.25 for group in sizes}, rel=1e-5)


def test_every_report_has_the_norms_of_its_step_and_none_other(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "METRIC_SECONDS", 0.0)
    events = train_town(town, tmp_path / "run", reports=4)
    norms = {event.step: event for event in events if isinstance(event, kinds.Norms)}
    assert list(norms) == [10, 20, 30, 40]
    metrics = {event.step: event for event in events if isinstance(event, kinds.Metric)}
    for step, one in norms.items():
        assert math.hypot(*one.gradients.values()) == pytest.approx(metrics[step].grad_norm, rel=1e-3)
        assert all(0 < ratio < 0.5 for ratio in one.updates.values())
    assert norms[40].updates["attention"] < norms[20].updates["attention"]  # the rate has fallen
    assert all(metric.peak_share is not None and 0 < metric.peak_share < 1 for metric in metrics.values())


def test_the_peak_is_that_of_products_in_the_type_of_training() -> None:
    peak = matrix_peak(resolve("cpu", "float32", 1, 64))
    assert 1e9 < peak < 1e13
