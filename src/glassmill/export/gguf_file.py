"""The verb `export`: a model folder as one GGUF file for llama.cpp and Ollama.

Written with the `gguf` package rather than llama.cpp's converter, which recognises tokenizers by a hash of encoded text
and so refuses every newly trained one. Norms stay float32, as always in GGUF.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, RopeScalingType
from gguf.quants import quantize

from glassmill.errors import UserError
from glassmill.export.gguf_reader import CHECKSUM, NO_CHECKSUM, seal_gguf
from glassmill.export.gguf_shape import architecture, gguf_name, permuted_heads, to_gguf_rows
from glassmill.export.gguf_tokenizer import NORMALIZER, gguf_pre, merge_lines, token_table
from glassmill.infer.find import find_model_folder
from glassmill.infer.folder import LoadedModel, load_folder
from glassmill.infer.weights import read_blocks
from glassmill.model.blocks import FORMATS, Format, format_for
from glassmill.model.blocks import quantize as quantize_blocks
from glassmill.model.config import ModelConfig
from glassmill.model.plain_formats import Bytes
from glassmill.run.files import atomic_path
from glassmill.tokens.formats import read_json
from glassmill.tokens.specials import IM_END
from glassmill.tokens.templates.turns import turn_end
from glassmill.tokens.tokenizer import Tokenizer

FILE_TYPES = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
    "q4_k": (GGMLQuantizationType.Q4_K, LlamaFileType.MOSTLY_Q4_K_S),
}


def export_gguf(model: str | Path, out: Path, dtype: str = "bf16") -> Path:
    """Writes `out` atomically.

    Raises:
        UserError: no model folder, an unknown dtype, or a tokenizer whose split pattern llama.cpp does not support.
    """
    if dtype not in FILE_TYPES:
        raise UserError(f"unknown dtype {dtype!r}; use one of {', '.join(FILE_TYPES)}")
    loaded = load_folder(model)
    full = read_json(find_model_folder(model) / "tokenizer.json")
    pre, arch = gguf_pre(full), architecture(loaded.config)
    kind, file_type = FILE_TYPES[dtype]
    with atomic_path(out) as temporary:
        writer = GGUFWriter(temporary, arch)
        _write_shape(writer, loaded.config, file_type)
        _write_tokenizer(writer, loaded.tokenizer, full, pre, loaded.config.vocab_size)
        _write_weights(writer, loaded, kind, read_blocks(find_model_folder(model), loaded.config))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        seal_gguf(temporary)
    return out


def _write_shape(writer: GGUFWriter, config: ModelConfig, file_type: LlamaFileType) -> None:
    writer.add_type("model")
    writer.add_file_type(file_type)
    writer.add_string(CHECKSUM, NO_CHECKSUM)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if config.rope_scaling:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scaling.factor)


def _write_tokenizer(
    writer: GGUFWriter, tokenizer: Tokenizer, full: Mapping[str, Any], pre: str, vocab_size: int
) -> None:
    tokens, kinds = token_table(full, vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_string(NORMALIZER, "none" if full.get("normalizer") is None else "by name")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merge_lines(full))
    writer.add_add_bos_token(tokenizer.bos_id is not None and tokenizer.bos_id in tokenizer.framed(""))
    stops = {"eos": tokenizer.eos_token, "bos": tokenizer.bos_token}
    if stops["eos"] in tokenizer.special:
        writer.add_eos_token_id(tokenizer.special[stops["eos"]])
        writer.add_pad_token_id(tokenizer.special[stops["eos"]])
    if stops["bos"] in tokenizer.special:
        writer.add_bos_token_id(tokenizer.special[stops["bos"]])
    if turn := IM_END if IM_END in tokenizer.special else turn_end(tokenizer):
        writer.add_eot_token_id(tokenizer.special[turn])
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _write_weights(
    writer: GGUFWriter, loaded: LoadedModel, kind: GGMLQuantizationType, stored: Mapping[str, tuple[Format, Bytes]]
) -> None:
    """Writes every tensor; `stored` has the blocks of a quantised folder, which are copied if they are the wanted."""
    wanted = FORMATS.get(kind.name.lower())
    for name, parameter in loaded.model.state_dict().items():
        form = format_for(name, tuple(parameter.shape), wanted, loaded.config.tie_embeddings) if wanted else None
        heads = permuted_heads(name, loaded.config)
        if form and stored.get(name, (None,))[0] == form:
            rows, used = stored[name][1], GGMLQuantizationType(form.number)
            writer.add_tensor(gguf_name(name), _in_their_order(rows, heads), raw_dtype=used)
            continue
        weight = _in_their_order(parameter.float().numpy(), heads)
        if form:
            rows, used = quantize_blocks(weight, form), GGMLQuantizationType(form.number)
        else:  # norms and biases; or rows that are no whole number of blocks
            used = GGMLQuantizationType.F16 if wanted else kind
            used = used if weight.ndim > 1 else GGMLQuantizationType.F32
            rows = quantize(weight, used)
        writer.add_tensor(gguf_name(name), rows, raw_dtype=used)


def _in_their_order(rows: np.ndarray, heads: int | None) -> np.ndarray:
    return np.ascontiguousarray(to_gguf_rows(rows, heads) if heads else rows)
