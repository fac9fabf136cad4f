"""Training that continues a model from elsewhere: its vocabulary, its shape, all weights or adapters only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder, save_folder
from glassmill.infer.peft import merge_adapter
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.pipeline import ready, run_line
from glassmill.recipe import Recipe, make_recipe
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.rates import is_own
from tests.train.builders import town_texts

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `docs/`, `models/elsewhere` and another vocabulary."""
    folder = tmp_path_factory.mktemp("continued")
    (folder / "docs").mkdir()
    for number, text in enumerate(town_texts(60)):
        (folder / "docs" / f"{number:03}.txt").write_text(f"{text} The number of this page is {number}.")
    _write_tokenizer(folder / "theirs", town_texts(10), 300)
    _write_tokenizer(folder / "others", ["xyzzy plugh " * 30], 280)
    tokenizer = Tokenizer.load(folder / "theirs")
    model = Transformer(ModelConfig(tokenizer.vocab_size + 5, 32, 2, 2, 1, 16, 48, 64, qk_norm=False))
    initialize(model, 3)
    save_folder(folder / "models" / "elsewhere", model, tokenizer, {})
    return folder


def _write_tokenizer(folder: Path, texts: list[str], vocab_size: int) -> None:
    """A byte-level vocabulary as other tools write it; answers and documents end with different tokens."""
    from tokenizers import Tokenizer as Theirs
    from tokenizers import decoders, models, pre_tokenizers, trainers

    theirs = Theirs(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator(texts, trainer)
    folder.mkdir()
    theirs.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def recipe_of(*overrides: str, stages: tuple[str, ...] = ("corpus", "tokenizer", "tokens", "train")) -> Recipe:
    table: dict[str, Any] = {
        "name": "continued",
        "stages": list(stages),
        "corpus": {
            "inputs": ["docs"],
            "workers": 1,
            "language": {"languages": []},
            **{name: {"enabled": False} for name in ("gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup")},
        },
        "tokens": {"workers": 1, "validation_share": 0.2},
        "model": {"context_length": 32},
        "train": {"base": "elsewhere", "steps": 30, "batch_tokens": 256, "threads": 1, "reports": 1, "peak_lr": 0.003},
    }
    return make_recipe(table, overrides)


@pytest.fixture(scope="module")
def whole(place: Path) -> dict[str, Path]:
    """Stage -> run folder, with all weights trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        line = run_line(recipe_of(), Path("runs"))
    return {stage: place / folder for stage, folder in line.folders.items()}


def test_a_model_is_continued_in_its_own_vocabulary(whole: dict[str, Path], place: Path) -> None:
    theirs = Tokenizer.load(place / "theirs")
    shards = Shards(whole["tokens"], "train")
    end = theirs.special["<|endoftext|>"]
    assert shards.vocab_size == theirs.vocab_size and shards.eos_id == end != theirs.eos_id
    first = np.split(shards.ids[:400], np.flatnonzero(shards.ids[:400] == end) + 1)[0][:-1]
    assert theirs.decode(first).startswith("Page ")
    stats = json.loads((whole["train"] / "stats.json").read_text())
    assert stats["val_bpb"] < 0.8 * stats["val_bpb_before"]
    assert stats["known_text"] == "general text" and stats["known_text_loss_before"] > 0


def test_the_continued_model_speaks_and_ends_as_its_base(whole: dict[str, Path], place: Path) -> None:
    base, after = load_folder(place / "models" / "elsewhere"), load_folder(whole["train"] / "model")
    assert after.config == base.config and after.tokenizer.stop_ids == base.tokenizer.stop_ids
    assert after.tokenizer.chat_template == TEMPLATE
    assert after.meta["stage"] == "train" and not is_own(after.meta)
    assert not torch.equal(after.model.head_weight, base.model.head_weight)


def test_equal_work_is_not_done_twice_and_another_base_is_another_run(
    whole: dict[str, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    line = run_line(recipe_of(f"train.base={place}/models/elsewhere"), Path("runs"), until="tokens")
    assert line.folders["tokens"].name == whole["tokens"].name


def test_adapters_alone_are_trained_merged_and_kept_beside(
    whole: dict[str, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    line = run_line(recipe_of("train.lora.rank=2", "train.steps=8", "train.embedding_lr=0.01"), Path("runs"))
    run = place / line.folders["train"]
    merged, base = load_folder(run / "model").model, load_folder(place / "models" / "elsewhere").model
    moved = 0
    for (name, after), before in zip(merged.state_dict().items(), base.state_dict().values(), strict=True):
        change = (after - before).float()
        if not change.any():
            continue
        moved += 1
        assert name.endswith("_proj.weight") and torch.linalg.matrix_rank(change, atol=1e-5) <= 2, name
    assert moved == 2 * 7
    again = merge_adapter(place / "models" / "elsewhere", run / "adapter", place / "merged")
    ids = torch.arange(20)[None]
    assert torch.allclose(load_folder(again).model(ids), merged(ids), atol=1e-4)
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], len(config["target_modules"])) == (2, 4.0, 7)
    names = set(load_file(run / "adapter" / "adapter_model.safetensors"))
    assert "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight" in names and len(names) == 28


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.base=elsewere"], "train.base = 'elsewere'"),
        (["train.base=docs"], "train.base = 'docs'"),
        (["tokenizer.base=others"], "another vocabulary than that of train.base"),
        (["tokenizer.base=nothing"], "tokenizer.base = 'nothing'"),
        (["model.context_length=128"], "longer than the 64 tokens that train.base reads"),
        (["train.base=none", "train.lora.rank=4"], "set train.base to one, or train.lora.rank=0"),
        (["train.lora.rank=4", "train.step=fused"], "asks for adapters; set step=auto"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_starts(
    place: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], words: str
) -> None:
    from glassmill.train.train import resolved

    monkeypatch.chdir(place)
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        resolved(ready(recipe_of(*overrides), Path("runs")))


def test_rates_suit_the_base_unless_they_are_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    train = ready(recipe_of(), Path("runs")).train
    assert (train.optimizer, train.peak_lr, train.embedding_lr) == ("adamw", 0.003, 0.0003)
    adapted = ready(recipe_of("train.lora.rank=8"), Path("runs")).train
    assert (adapted.peak_lr, adapted.embedding_lr) == (0.003, 0.001)
    fresh = ready(recipe_of("train.base=none"), Path("runs")).train
    assert (fresh.optimizer, fresh.embedding_lr) == ("muon", 0.004)


@pytest.mark.parametrize("known", ["cl100k_base", "theirs/tokenizer.json"])
@pytest.mark.slow
def test_a_new_model_can_take_a_known_vocabulary(place: Path, monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    monkeypatch.chdir(place)
    recipe = recipe_of("train.base=none", f"tokenizer.base={known}", stages=("corpus", "tokenizer", "tokens"))
    line = run_line(recipe, Path("runs"))
    taken = Tokenizer.load(place / line.folders["tokenizer"])
    assert taken.encode("The miller's page").tolist() == Tokenizer.load(known).encode("The miller's page").tolist()
    stats = json.loads((line.folders["tokenizer"] / "stats.json").read_text())
    assert stats["merges"] == 0 and 1 < stats["bytes_per_token"] < 8


def test_a_long_gradient_is_cut() -> None:
    from glassmill.train.health import gradient_norm, shorten

    layer = torch.nn.Linear(4, 4)
    layer(torch.ones(1, 4)).sum().backward()
    norm = gradient_norm(layer)
    shorten(layer, 0.5 / norm)
    assert gradient_norm(layer) == pytest.approx(0.5)
