"""Model folders: the Hugging Face layout, read and written.

    config.json  model.safetensors  generation_config.json  glassmill.json (provenance)  README.md (a model card)
    tokenizer.json  tokenizer_config.json  and whatever else the tokenizer saves

transformers, vLLM, SGLang and ctranslate2 open what is written here; folders from the hub in the supported shapes can
be read. Safetensors and JSON only. What a folder claims is checked before anything is built: its config against what
the model computes (`model.foreign_config`), the headers of its weights against the config (`weights`), its ids against
the embeddings, and its bytes against the checksums in `glassmill.json`, which every folder written here has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.infer.find import check_embedded, find_model_folder, read_config, read_meta
from glassmill.infer.readme import readme_of
from glassmill.infer.weights import WEIGHTS, check_finite, read_weights
from glassmill.model.config import ModelConfig
from glassmill.model.foreign_config import BLOCKS
from glassmill.model.transformer import Transformer
from glassmill.run.files import atomic_path
from glassmill.run.integrity import NOTE, SEALED, check_sealed, file_digests, seal
from glassmill.tokens.tokenizer import Tokenizer

README = "README.md"


@dataclass(slots=True)
class LoadedModel:
    """A model folder in memory; `meta` is its `glassmill.json`, empty for a folder from elsewhere."""

    model: Transformer
    tokenizer: Tokenizer
    config: ModelConfig
    meta: dict[str, object] = field(default_factory=dict)


def load_folder(path: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> LoadedModel:
    """Read a model folder, or a run folder that contains one.

    Args:
        path: The folder.
        device: Where the weights go.
        dtype: Their type; by default float32 on a CPU (which computes other types slower or not at all), and as stored
            elsewhere.

    Raises:
        UserError: No such folder, a missing or damaged file, or an unsupported model.
    """
    folder = find_model_folder(path)
    check_sealed(folder)
    config = read_config(folder)
    tokenizer = Tokenizer.load(folder)
    check_embedded(folder, config, tokenizer)
    if dtype is None and torch.device(device).type == "cpu":
        dtype = torch.float32
    model = _read_model(folder, config, device, dtype)
    return LoadedModel(model, tokenizer, model.config, read_meta(folder))


def save_folder(path: str | Path, model: Transformer, tokenizer: Tokenizer, provenance: Mapping[str, object]) -> None:
    """Write a model folder atomically; an older one at `path` is replaced.

    The bytes depend on the arguments alone: no times, no paths.

    Raises:
        UserError: a weight is no finite number; nothing is written.
    """
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    dtype = str(model.head_weight.dtype).removeprefix("torch.")
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise UserError(
                f"{path} was not written: {name} holds values that are no finite numbers in {dtype}; "
                "take a wider type, or a model that was trained without diverging"
            )
    write_folder(path, {**model.config.to_hf(), "torch_dtype": dtype}, weights, tokenizer, provenance)


def write_folder(
    path: str | Path,
    config: Mapping[str, object],
    weights: Mapping[str, torch.Tensor],
    tokenizer: Tokenizer,
    provenance: Mapping[str, object],
) -> None:
    """Write a model folder atomically from its parts; `config` is its `config.json` but for the tokens' ids."""
    eos_id = tokenizer.eos_id
    with atomic_path(Path(path)) as folder:
        folder.mkdir()
        tokenizer.save(folder)
        _write_json(folder / "config.json", {**config, "bos_token_id": tokenizer.bos_id, "eos_token_id": eos_id})
        ends = {"eos_token_id": sorted(tokenizer.stop_ids)}
        _write_json(folder / "generation_config.json", {"pad_token_id": eos_id} | tokenizer.generation | ends)
        save_file(dict(weights), folder / WEIGHTS, metadata={"format": "pt", SEALED: NOTE})
        _order_header(folder / WEIGHTS)
        digests = file_digests(folder)
        card = readme_of(load_object(folder / "config.json"), provenance, digests, bool(tokenizer.templates))
        (folder / README).write_text(card, encoding="utf-8")
        seal(folder, provenance, digests)


def in_blocks(config: ModelConfig, formats: Mapping[str, str]) -> dict[str, object]:
    """The `config.json` of a model some of whose parameters are in blocks: name -> format."""
    told = {"quant_method": BLOCKS, "tensors": dict(formats)}
    return {**config.to_hf(), "torch_dtype": "float32", "quantization_config": told}


def _order_header(path: Path) -> None:
    """Gives the header's two notes one order: safetensors writes them in that of a hash table, anew every time."""
    one = f'"__metadata__":{{"{SEALED}":"{NOTE}","format":"pt"}}'.encode()
    other = f'"__metadata__":{{"format":"pt","{SEALED}":"{NOTE}"}}'.encode()
    with path.open("r+b") as file:
        start = file.read(8 + len(one) + 16)
        if (place := start.find(other)) >= 0:
            file.seek(place)
            file.write(one)
        else:
            assert one in start


def _read_model(
    folder: Path, config: ModelConfig, device: torch.device | str, dtype: torch.dtype | None
) -> Transformer:
    weights = read_weights(folder, config)
    if config.tie_embeddings and "lm_head.weight" in weights:
        if torch.equal(weights["lm_head.weight"], weights["model.embed_tokens.weight"]):
            del weights["lm_head.weight"]
        else:  # as transformers 5: two different matrices are not tied, whatever the config says
            config = replace(config, tie_embeddings=False)
    with torch.device("meta"):
        model = Transformer(config)
    stored = {name: weight.dtype for name, weight in weights.items()}
    weights = {name: weight.to(device=device, dtype=dtype) for name, weight in weights.items()}
    if dtype == torch.float16 and any(kind != dtype for kind in stored.values()):
        check_finite(weights, f"{folder}: in float16, whose largest number is 65,504")
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(
        json.dumps(dict(value), indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
    )
