"""What a model folder claims is checked before it is believed: every refusal has its true reason, in one line."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassmill.errors import UserError
from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder, save_folder
from glassmill.infer.weights import read_header
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from tests.tokens.builders import small_tokenizer

ONE, TWO, INDEX = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 4977222880\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as on the hub: Llama's shape, two shards, no checksums."""
    tokenizer = small_tokenizer()
    torch.manual_seed(3)
    model = Transformer(ModelConfig(tokenizer.vocab_size, 16, 2, 2, 1, 8, 24, 64, qk_norm=False, tie_embeddings=False))
    path = tmp_path / "hub"
    save_folder(path, model, tokenizer, {})
    weights = load_file(path / "model.safetensors")
    for name in ("glassmill.json", "model.safetensors", "vocab.tiktoken", "meta.json"):
        (path / name).unlink()
    names = sorted(weights)
    halves = {ONE: names[: len(names) // 2], TWO: names[len(names) // 2 :]}
    for file, some in halves.items():
        save_file({name: weights[name] for name in some}, path / file)
    places = {name: file for file, some in halves.items() for name in some}
    (path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


def edit(path: Path, **changes: Any) -> None:
    """Changes keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without_weights(folder: Path) -> None:
    for name in (ONE, TWO, INDEX):
        (folder / name).unlink()


def only(folder: Path, name: str, content: bytes = b"x") -> None:
    without_weights(folder)
    (folder / name).write_bytes(content)


def a_tensor(folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Changes the last norm's weights."""
    file = next(file for file in (ONE, TWO) if "model.norm.weight" in load_file(folder / file))
    weights = load_file(folder / file)
    save_file(weights | {"model.norm.weight": change(weights["model.norm.weight"])}, folder / file)


def poisoned(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(weight: torch.Tensor) -> torch.Tensor:
        weight = weight.clone()
        weight[3] = value
        return weight

    return change


def header(folder: Path, change: Callable[[dict[str, Any]], object], length: int | None = None) -> None:
    """Rewrites the first shard's header."""
    data = (folder / ONE).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    value = json.loads(data[8 : 8 + size])
    change(value)
    text = json.dumps(value).encode()
    (folder / ONE).write_bytes(struct.pack("<Q", length or len(text)) + text + data[8 + size :])


def first(value: dict[str, Any]) -> dict[str, Any]:
    return next(entry for name, entry in value.items() if name != "__metadata__")


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    # files that are not there, or not what they are called
    "LFS pointer for weights": (lambda f: (f / ONE).write_bytes(POINTER), f"{ONE} is a Git LFS pointer.*git lfs pull"),
    "LFS pointer for config": (lambda f: (f / "config.json").write_bytes(POINTER), "config.json is a Git LFS pointer"),
    "LFS pointer for the index": (lambda f: (f / INDEX).write_bytes(POINTER), "index.json is a Git LFS pointer"),
    "LFS pointer for the tokenizer": (
        lambda f: (f / "tokenizer.json").write_bytes(POINTER),
        "tokenizer.json is a Git LFS",
    ),
    "a shard missing": (lambda f: (f / TWO).unlink(), f"{TWO} is missing .part 2 of 2 in {INDEX}"),
    "an empty shard": (lambda f: (f / ONE).write_bytes(b""), f"{ONE} is empty: download it again"),
    "an empty config": (lambda f: (f / "config.json").write_bytes(b""), "config.json is empty"),
    "a web page for a config": (lambda f: (f / "config.json").write_text("<html>"), "it is a web page"),
    "no index": (lambda f: (f / INDEX).unlink(), f"no {INDEX}, which says what is in {ONE}"),
    "no weights": (without_weights, "has a config.json but no model.safetensors; only safetensors"),
    "a pickle": (lambda f: only(f, "pytorch_model.bin"), "pytorch_model.bin is a pickle, which can run code"),
    "pickle shards": (lambda f: only(f, "pytorch_model-00001-of-00002.bin"), "is a pickle"),
    "Meta's pickle": (lambda f: only(f, "consolidated.00.pth"), "consolidated.00.pth is a pickle"),
    "an adapter": (lambda f: only(f, "adapter_model.safetensors"), "only a LoRA adapter: merge it"),
    "an adapter alone": (
        lambda f: (only(f, "adapter_config.json", b"{}"), (f / "config.json").unlink()),
        "no config.json; it is a LoRA adapter",
    ),
    "Meta's form": (lambda f: ((f / "config.json").unlink(), (f / "params.json").write_text("{}")), "params.json"),
    "a GGUF file in a folder": (lambda f: only(f, "model.Q4_0.gguf"), "give the GGUF file model.Q4_0.gguf itself"),
    "another name": (lambda f: only(f, "consolidated.safetensors"), "there is consolidated.safetensors"),
    "TensorFlow": (lambda f: only(f, "tf_model.h5"), "there is tf_model.h5"),
    "a folder for a file": (lambda f: ((f / ONE).unlink(), (f / ONE).mkdir()), f"{ONE} is missing"),
    # an index that names other files
    "a path upwards": (
        lambda f: edit(f / INDEX, weight_map={"a": "../../secret.safetensors"}),
        "no safetensors file beside",
    ),
    "an absolute path": (lambda f: edit(f / INDEX, weight_map={"a": "/etc/passwd"}), "no safetensors file beside"),
    "another kind": (lambda f: edit(f / INDEX, weight_map={"a": "config.json"}), "no safetensors file beside"),
    "a number": (lambda f: edit(f / INDEX, weight_map={"a": 3}), "names '3'"),
    "no map": (lambda f: edit(f / INDEX, weight_map=None), "has no weight_map"),
    "2,000 files": (
        lambda f: edit(f / INDEX, weight_map={str(n): f"{n}.safetensors" for n in range(2000)}),
        "names 2,000 files",
    ),
    "one tensor in two files": (lambda f: (f / TWO).write_bytes((f / ONE).read_bytes()), "is in two files"),
    # headers
    "a cut shard": (lambda f: (f / ONE).write_bytes((f / ONE).read_bytes()[:-2]), "is cut off or damaged"),
    "a longer shard": (lambda f: (f / ONE).write_bytes((f / ONE).read_bytes() + b"\0"), "is cut off or damaged"),
    "a header of 2^60 bytes": (lambda f: header(f, len, 2**60), "its header claims 1,152,921"),
    "three bytes": (lambda f: (f / ONE).write_bytes(b"abc"), "it has 3 bytes"),
    "double precision": (
        lambda f: a_tensor(f, torch.Tensor.double),
        "model.norm.weight has type F64; supported are F32",
    ),
    "integers": (lambda f: a_tensor(f, torch.Tensor.long), "has type I64"),
    "float8": (lambda f: a_tensor(f, lambda t: t.to(torch.float8_e4m3fn)), "has type F8_E4M3"),
    "booleans": (lambda f: a_tensor(f, torch.Tensor.bool), "has type BOOL"),
    "a shape that lies": (lambda f: header(f, lambda h: first(h).update(shape=[3])), "bytes for shape"),
    "a negative shape": (lambda f: header(f, lambda h: first(h).update(shape=[-1, -1])), "header of .* is damaged at"),
    "offsets that overlap": (
        lambda f: header(f, lambda h: first(h).update(data_offsets=[0, 4])),
        "bytes for shape|begins at",
    ),
    "a gap": (lambda f: header(f, lambda h: h.pop(next(iter(h)))), "begins at byte|is cut off or damaged"),
    "an entry of another kind": (lambda f: header(f, lambda h: h.update(x=[1])), "is damaged at 'x'"),
    # the weights against the config
    "another vocabulary": (
        lambda f: edit(f / "config.json", vocab_size=600),
        r"embed_tokens.weight is \(\d+, 16\) instead",
    ),
    "a layer too many": (
        lambda f: edit(f / "config.json", num_hidden_layers=3),
        "model.layers.2.input_layernorm.weight is m",
    ),
    "a layer too few": (
        lambda f: edit(f / "config.json", num_hidden_layers=1),
        "model.layers.1.* has no place in such a",
    ),
    "biases claimed": (
        lambda f: edit(f / "config.json", architectures=["Qwen2ForCausalLM"], model_type="qwen2"),
        "q_proj.bias is missing",
    ),
    "norms claimed": (
        lambda f: edit(f / "config.json", architectures=["Qwen3ForCausalLM"], model_type="qwen3"),
        "q_norm.weight is missing",
    ),
    "a billion layers": (lambda f: edit(f / "config.json", num_hidden_layers=10**9), "is more than 1,000"),
    "terabytes": (lambda f: edit(f / "config.json", hidden_size=1 << 16, intermediate_size=1 << 19), "instead of"),
    "NaN": (lambda f: a_tensor(f, poisoned(float("nan"))), "model.norm.weight has 1 numbers that are NaN or infinite"),
    "infinity": (lambda f: a_tensor(f, poisoned(float("-inf"))), "model.norm.weight has 1 numbers that are NaN or inf"),
    # ids
    "an end beyond the embeddings": (
        lambda f: edit(f / "config.json", eos_token_id=512),
        "eos_token_id = 512, but the mo",
    ),
    "an end in quotes": (
        lambda f: edit(f / "config.json", eos_token_id="5"),
        "eos_token_id = '5' is not a whole number",
    ),
    "an end that is a list of lists": (
        lambda f: edit(f / "generation_config.json", eos_token_id=[[5]]),
        "eos_token_id = '.5.' is not a whole number",
    ),
    "one of several ends": (lambda f: edit(f / "config.json", eos_token_id=[0, 9999]), "eos_token_id = 9999"),
    "a negative begin": (lambda f: edit(f / "config.json", bos_token_id=-2), "bos_token_id = -2"),
    "a pad in words": (lambda f: edit(f / "config.json", pad_token_id="0"), "pad_token_id = '0' is not a whole number"),
    "an end in generation_config": (
        lambda f: edit(f / "generation_config.json", eos_token_id=777),
        "generation_config.*777",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_claim_that_is_not_true_is_refused_with_its_reason(case: str, folder: Path) -> None:
    change, message = CASES[case]
    change(folder)
    with pytest.raises(UserError, match=message) as refused:
        load_folder(folder)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_the_folder_as_it_is_loads_and_its_import_has_checksums(folder: Path, tmp_path: Path) -> None:
    loaded = load_folder(folder)
    out = import_weights(folder, tmp_path / "out", "float32")
    assert "integrity" in json.loads((out / "glassmill.json").read_text())
    again = load_folder(out)
    assert all(
        torch.equal(weight, again.model.state_dict()[name]) for name, weight in loaded.model.state_dict().items()
    )


def test_a_damaged_import_is_made_again(folder: Path, tmp_path: Path) -> None:
    out = import_weights(folder, tmp_path / "out")
    weights = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 4]))
    told: list[str] = []
    import_weights(folder, tmp_path / "out", notify=told.append)
    assert told[-1] == "converting hub" and (out / "model.safetensors").read_bytes() == weights


def test_weights_that_float16_cannot_hold_are_not_imported_as_float16(folder: Path, tmp_path: Path) -> None:
    a_tensor(folder, poisoned(1e6))
    with pytest.raises(UserError, match="float16, whose largest number is 65,504: model.norm.weight has 1 numbers"):
        import_weights(folder, tmp_path / "out", "float16")
    assert import_weights(folder, tmp_path / "out", "bfloat16").is_dir()


def test_of_two_tied_matrices_that_differ_each_is_used_as_transformers_does(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    edit(folder / "config.json", tie_word_embeddings=True)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
        ours = load_folder(folder)
        assert float((ours.model(ids) - theirs).abs().max()) < 1e-5
    assert not ours.config.tie_embeddings


def test_weights_larger_than_the_memory_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassmill.infer.weights.available_memory", lambda: 1000)
    with pytest.raises(UserError, match="bytes of weights; this machine has 1,000 bytes of memory free"):
        load_folder(folder)


def test_a_sparse_file_of_terabytes_is_refused_by_its_header(folder: Path) -> None:
    with (folder / ONE).open("r+b") as file:
        file.truncate(1 << 42)
    with pytest.raises(UserError, match="is cut off or damaged: it has 4,398,046,511,104 bytes"):
        import_weights(folder, folder.parent / "out")


def test_a_header_says_what_safetensors_says(folder: Path) -> None:
    for file in (ONE, TWO):
        stored = load_file(folder / file)
        assert {name: claim.shape for name, claim in read_header(folder / file).items()} == {
            name: tuple(weight.shape) for name, weight in stored.items()
        }
