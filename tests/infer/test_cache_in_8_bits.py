"""Keys and values in 8 bits: half the memory, a bounded loss, and never unless it was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from glassmill.errors import UserError
from glassmill.evals.drift import drift
from glassmill.infer.choose import chosen_cache, load_decoder
from glassmill.infer.decoder import Piece, new_row, whole_logits
from glassmill.infer.native_decoder import NativeDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer

CONFIG = ModelConfig(101, 128, 2, 4, 2, 64, 96, 700, qk_norm=False)
LARGEST_KL = 4e-4
"""Nats a token that 8 bits cost against the same weights with an exact cache; it is half of that, and 7 bits twice."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in bfloat16 in which every number matters; values with a channel far larger than the others."""
    path, generator = tmp_path_factory.mktemp("model"), torch.Generator().manual_seed(0)
    weights = {}
    for name, weight in Transformer(CONFIG).state_dict().items():
        noise = torch.randn(weight.shape, generator=generator) * (0.12 if weight.ndim == 2 else 0.1)
        weights[name] = (noise + float("norm" in name)).bfloat16()
        if "v_proj" in name:
            weights[name][5] *= 6
    save_file(weights, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG.to_hf()))
    return path


def written_by(decoder: NativeDecoder, count: int) -> np.ndarray:
    """Text that the model draws itself: on any other, a model of random weights has no perplexity worth the name."""
    chance, ids = np.random.default_rng(0), [1]
    with new_row(decoder) as row:
        while len(ids) < count:
            logits_V = decoder.forward([Piece(row, ids[-1:])])[0].logits_WV[0].astype(np.float64)
            ids.append(int(chance.choice(len(logits_V), p=np.exp(logits_V - np.logaddexp.reduce(logits_V)))))
    return np.array(ids)


def test_the_loss_is_small_for_half_the_memory(folder: Path) -> None:
    exact = NativeDecoder(folder, 2, "float32")
    plain, small = NativeDecoder(folder, 2, "bfloat16"), NativeDecoder(folder, 2, "bfloat16", cache="q8")
    text = written_by(exact, 500)
    lost = drift(plain, small, text, 500)
    assert lost.perplexity_before < 60 < CONFIG.vocab_size
    assert 0 < lost.kl < LARGEST_KL and abs(lost.perplexity / lost.perplexity_before - 1) < 2e-3
    assert small.info.token_bytes < 0.56 * plain.info.token_bytes
    only_cache = drift(exact, NativeDecoder(folder, 2, "float32", cache="q8"), text, 500)
    assert 0 < only_cache.kl < LARGEST_KL


def test_a_row_has_the_same_bits_alone_in_a_batch_in_pieces_and_forked(folder: Path) -> None:
    decoder, chance = NativeDecoder(folder, 20, "bfloat16", cache="q8"), np.random.default_rng(1)
    texts = [chance.integers(0, 101, 30 + 31 * row).tolist() for row in range(6)]
    alone = [whole_logits(decoder, text)[-1] for text in texts]
    rows = [decoder.open_row() for _ in texts]
    together = decoder.forward([Piece(row, text) for row, text in zip(rows, texts, strict=True)])
    assert all((answer.logits_WV[0] == one).all() for answer, one in zip(together, alone, strict=True))
    for row, text, one in zip(rows, texts, alone, strict=True):
        fork = decoder.fork(row, 20)
        for token in text[20:]:
            answer = decoder.forward([Piece(fork, [token])])[0]
        assert (answer.logits_WV[0] == one).all()
        decoder.close_row(fork)


LOGITS = """
import sys
from pathlib import Path
import numpy as np
from glassmill.infer.decoder import whole_logits
from glassmill.infer.native_decoder import NativeDecoder
np.save(sys.argv[2], whole_logits(NativeDecoder(Path(sys.argv[1]), cache="q8"), list(range(100))))
"""


def test_the_scalar_kernels_compute_the_same(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOGITS, str(folder), str(tmp_path / "logits.npy")]
    subprocess.run(command, env={**os.environ, "GLASSMILL_ISA": "scalar"}, check=True)
    ours = whole_logits(NativeDecoder(folder, cache="q8"), list(range(100)))
    # a last bit before a rounding may become a last bit of eight after it
    assert np.abs(np.load(tmp_path / "logits.npy") - ours).max() < 0.01 * ours.std()


def test_it_is_taken_only_where_the_environment_or_the_caller_asks(
    folder: Path, folder_with_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLASSMILL_KV", raising=False)
    monkeypatch.delenv("GLASSMILL_DECODER", raising=False)
    assert chosen_cache() is None and load_decoder(folder, 1).info == NativeDecoder(folder).info
    monkeypatch.setenv("GLASSMILL_KV", "q8")
    assert load_decoder(folder, 1).info == NativeDecoder(folder, cache="q8").info != NativeDecoder(folder).info
    with pytest.raises(UserError, match="only the native decoder has that, and here it is torch"):
        load_decoder(folder_with_tokenizer, 1, "torch")
    with pytest.raises(UserError, match="its heads have 8 channels; keys and values in 8 bits .* a multiple of 32"):
        load_decoder(folder_with_tokenizer, 1)
    monkeypatch.setenv("GLASSMILL_KV", "q4")
    with pytest.raises(UserError, match="GLASSMILL_KV = q4: there is `q8`"):
        load_decoder(folder, 1)
