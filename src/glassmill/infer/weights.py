"""The safetensors files of a model folder: checked by their headers before anything is allocated, then read.

In: a folder and the shape that its `config.json` claims. Out: the tensors, of exactly that shape, all numbers finite.

`glassmill quantize` writes matrices in GGUF's block formats: as bytes, shape `(rows, bytes of a row)`, with the format
of each in `config.json` under `quantization_config`.

Source: the safetensors format (8 bytes of length, a JSON header, the data), github.com/huggingface/safetensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from glassmill.errors import UserError
from glassmill.foreign_json import is_lfs_pointer, lfs_message, load_object
from glassmill.model.blocks import FORMATS, Format, dequantize
from glassmill.model.config import ModelConfig
from glassmill.model.foreign_config import BLOCKS
from glassmill.model.plain_formats import Bytes
from glassmill.model.sizes import parameter_shapes
from glassmill.run.memory import available_memory

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1}
MAX_HEADER_BYTES = 32 << 20
MAX_SHARDS = 1000
IGNORED = ("rotary_emb.inv_freq",)
"""Old Llama folders store the rotation's frequencies, which follow from the config."""


class Claim(NamedTuple):
    """What a header says of a tensor. `dtype` is a format's name in capitals, such as Q4_K, if it has blocks."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """All parameters of the model in `folder`, as stored; blocks as float32.

    Raises:
        UserError: A file is missing, damaged or of another kind; a tensor has another shape or type, or a number that
            is not finite; or the whole does not fit into memory.
    """
    from safetensors.torch import load_file

    claims = checked_claims(folder, config)
    weights: dict[str, Tensor] = {}
    for file in sorted({claim.file for claim in claims.values()}):
        try:
            found = load_file(file)
        except Exception as error:  # safetensors raises its own class for every kind of damage
            raise UserError(f"{file} is damaged: {' '.join(str(error).split())[:200]}") from None
        for name, weight in found.items():
            if not name.endswith(IGNORED):
                weights[name] = _widened(weight, claims[name])
    check_finite(weights, str(folder))
    return weights


def _widened(weight: Tensor, claim: Claim) -> Tensor:
    """A tensor's numbers: it has them, or blocks."""
    import torch

    form = FORMATS.get(claim.dtype.lower())
    return weight if form is None else torch.from_numpy(dequantize(weight.numpy(), form))


def read_blocks(folder: Path, config: ModelConfig) -> dict[str, tuple[Format, Bytes]]:
    """The parameters that a folder has in blocks: format, and rows of bytes in the file itself.

    Raises:
        UserError: As `checked_claims`.
    """
    found = {}
    for name, claim in checked_claims(folder, config).items():
        if form := FORMATS.get(claim.dtype.lower()):
            with claim.file.open("rb") as file:
                start = 8 + int.from_bytes(file.read(8), "little") + claim.begin
            rows = np.memmap(claim.file, np.uint8, "r", start, (claim.end - claim.begin,))
            found[name] = (form, rows.reshape(claim.shape[0], -1))
    return found


def checked_claims(folder: Path, config: ModelConfig) -> dict[str, Claim]:
    """What the headers say of all tensors, after every check that needs no tensor. Takes milliseconds.

    Raises:
        UserError: As `read_weights`, but for numbers that are not finite.
    """
    claims: dict[str, Claim] = {}
    for file in weight_files(folder):
        for name, claim in read_header(file).items():
            if name in claims:
                raise UserError(f"{folder}: {name} is in two files, {claims[name].file.name} and {file.name}")
            claims[name] = claim
    claims = _with_formats(claims, folder)
    check_claims(claims, config, folder)
    needed = sum(claim.end - claim.begin for claim in claims.values())
    if needed > (available := available_memory()):
        raise UserError(f"{folder}: {needed:,} bytes of weights; this machine has {available:,} bytes of memory free")
    return claims


def block_formats(folder: Path) -> dict[str, Format]:
    """The format of every parameter that a model folder has in blocks.

    Raises:
        UserError: `config.json` names one that does not exist.
    """
    told = load_object(folder / "config.json").get("quantization_config") or {}
    names = told.get("tensors", {}) if isinstance(told, dict) and told.get("quant_method") == BLOCKS else {}
    if not isinstance(names, dict) or not all(isinstance(name, str) and name in FORMATS for name in names.values()):
        raise UserError(f"{folder / 'config.json'}: quantization_config.tensors must name one of {', '.join(FORMATS)}")
    return {name: FORMATS[form] for name, form in names.items()}


def _with_formats(claims: Mapping[str, Claim], folder: Path) -> dict[str, Claim]:
    """Claims of bytes as claims of blocks, in the shape of their numbers.

    Raises:
        UserError: Bytes have no format, a format no bytes, or rows are no whole blocks.
    """
    formats = block_formats(folder)
    found = dict(claims)
    for name, claim in claims.items():
        form = formats.pop(name, None)
        if (form is None) != (claim.dtype != "U8"):
            told = "has bytes without a format" if form is None else f"has type {claim.dtype}, no bytes"
            raise UserError(f"{claim.file}: {name[:80]} {told}, see quantization_config in config.json")
        if form is None:
            continue
        if len(claim.shape) != 2 or claim.shape[1] % form.block_bytes:
            raise UserError(f"{claim.file}: {name[:80]} has shape {claim.shape}: no rows of whole {form.name} blocks")
        shape = (claim.shape[0], claim.shape[1] // form.block_bytes * form.block)
        found[name] = claim._replace(dtype=form.name.upper(), shape=shape)
    if formats:
        raise UserError(f"{folder / 'config.json'}: quantization_config names {min(formats)[:80]}, which is not there")
    return found


def check_finite(weights: Mapping[str, Tensor], what: str) -> None:
    """Refuses NaN and infinity, which would make every logit NaN.

    Raises:
        UserError: Naming the first tensor that has one.
    """
    import torch

    for name, weight in weights.items():
        total = weight.sum(dtype=torch.float32)  # not finite if any number is not; then the numbers are looked at
        if not math.isfinite(total.item()) and not torch.isfinite(weight).all():
            count = int((~torch.isfinite(weight)).sum())
            raise UserError(f"{what}: {name} has {count:,} numbers that are NaN or infinite; the weights are damaged")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: one, or those that its index names.

    Raises:
        UserError: There are none, or not all; the message says what is there instead.
    """
    if (folder / WEIGHTS).exists():
        files = [folder / WEIGHTS]
    elif (folder / INDEX).exists():
        files = _indexed(folder)
    else:
        raise UserError(f"{folder} has a config.json but {_without_weights(folder)}")
    for place, file in enumerate(files, 1):
        if not file.is_file():
            part = f" (part {place} of {len(files)} in {INDEX})" if len(files) > 1 else ""
            raise UserError(f"{file} is missing{part}: download it again")
        if is_lfs_pointer(file):
            raise UserError(lfs_message(str(file)))
        if file.stat().st_size == 0:
            raise UserError(f"{file} is empty: download it again")
    return files


def _indexed(folder: Path) -> list[Path]:
    path = folder / INDEX
    places = load_object(path).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise UserError(f"{path} is damaged: it has no weight_map")
    names = {str(name) for name in places.values()}
    for name in names:
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors") or "\0" in name:
            raise UserError(f"{path} names {name[:80]!r}, which is no safetensors file beside it")
    if len(names) > MAX_SHARDS:
        raise UserError(f"{path} names {len(names):,} files; at most {MAX_SHARDS:,} are read")
    return [folder / name for name in sorted(names)]


def _without_weights(folder: Path) -> str:
    """What a folder without the usual names has instead, as the end of a sentence."""
    names = sorted(path.name for path in folder.iterdir())

    def first(*ends: str) -> str | None:
        return next((name for name in names if name.endswith(ends)), None)

    if "adapter_model.safetensors" in names or "adapter_config.json" in names:
        return "only a LoRA adapter: merge it into its base model, and give that"
    if shard := next((name for name in names if "-of-" in name and name.endswith(".safetensors")), None):
        return f"no {INDEX}, which says what is in {shard} and its neighbours: download it too"
    if other := first(".safetensors"):
        return f"no {WEIGHTS} (there is {other}); only safetensors weights under that name are supported"
    if pickle := first(".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        return (
            f"no {WEIGHTS}; only safetensors weights are supported. {pickle} is a pickle, which can run code when "
            "it is opened: convert it with transformers' save_pretrained"
        )
    if gguf := first(".gguf"):
        return f"no {WEIGHTS}: give the GGUF file {gguf} itself to `glassmill import`"
    if other := first(".h5", ".msgpack", ".onnx", ".npz"):
        return f"no {WEIGHTS} (there is {other}); only safetensors weights are supported"
    return f"no {WEIGHTS}; only safetensors weights are supported"


def read_header(file: Path) -> dict[str, Claim]:
    """Every tensor that a safetensors file says it has, checked against the size of the file.

    Raises:
        UserError: The file is damaged.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > size - 8:
            raise UserError(f"{file} is damaged: it has {size:,} bytes, and its header claims {length:,}")
        if length > MAX_HEADER_BYTES:
            raise UserError(f"{file} is damaged: a header of {length:,} bytes")
        header = load_object(opened.read(length), what=f"the header of {file}", max_bytes=MAX_HEADER_BYTES)
    header.pop("__metadata__", None)
    claims = {name: _claim(file, name, entry) for name, entry in header.items()}
    at = 0
    for name, claim in sorted(claims.items(), key=lambda item: (item[1].begin, item[1].end)):
        if claim.begin != at:
            raise UserError(f"{file} is damaged: {name[:80]} begins at byte {claim.begin:,} of the data, not {at:,}")
        at = claim.end
    if 8 + length + at != size:
        raise UserError(f"{file} is cut off or damaged: it has {size:,} bytes, its header tells of {8 + length + at:,}")
    return claims


def _claim(file: Path, name: str, entry: Any) -> Claim:
    damaged = f"the header of {file} is damaged at {name[:80]!r}"
    if not isinstance(entry, dict):
        raise UserError(damaged)
    dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if not isinstance(dtype, str) or shape is None or offsets is None or len(offsets) != 2:
        raise UserError(damaged)
    begin, end = offsets
    if dtype not in DTYPES:
        raise UserError(f"{file}: {name[:80]} has type {dtype[:20]}; supported are {', '.join(list(DTYPES)[:3])}")
    if end - begin != math.prod(shape) * DTYPES[dtype]:
        raise UserError(f"{damaged}: {end - begin:,} bytes for shape {shape} of {dtype}")
    return Claim(file, dtype, shape, begin, end)


def _sizes(value: object) -> tuple[int, ...] | None:
    """A short list of numbers from 0; None if it is anything else."""
    if not isinstance(value, list) or len(value) > 8 or any(type(one) is not int or one < 0 for one in value):
        return None
    return tuple(value)


def check_claims(claims: Mapping[str, Claim], config: ModelConfig, folder: Path) -> None:
    """Refuses headers that do not have exactly the model's parameters, in their shapes. Nothing is built for it.

    Raises:
        UserError: Naming the first tensor that is missing, too many, or of another shape.
    """
    mismatch = f"{folder}: the weights do not fit config.json:"
    wanted = set()
    for name, shape in parameter_shapes(config):
        claim = claims.get(name)
        if claim is None:
            raise UserError(f"{mismatch} {name} is missing")
        if claim.shape != shape:
            raise UserError(f"{mismatch} {name} is {claim.shape} instead of {shape}")
        wanted.add(name)
    if config.tie_embeddings and "lm_head.weight" in claims:
        shape = (config.vocab_size, config.d_model)
        if claims["lm_head.weight"].shape != shape:
            raise UserError(f"{mismatch} lm_head.weight is {claims['lm_head.weight'].shape} instead of {shape}")
        wanted.add("lm_head.weight")
    for name in claims:
        if name not in wanted and not name.endswith(IGNORED):
            raise UserError(f"{mismatch} {name[:80]} has no place in such a model")
