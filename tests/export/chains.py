"""Model folders whose next token is a function of the last one, so that every answer is known."""

# ruff: noqa: E501

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel


def byte_tokenizer(control: list[str], words: list[str] = [], first: str | None = None) -> Tokenizer:  # noqa: B006
    """Byte-level without merges; `first` is put in front of every text."""
    tokenizer = Tokenizer(models.BPE(vocab={char: n for n, char in enumerate(sorted(ByteLevel.alphabet()))}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in control])
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in words])
    if first:
        number = tokenizer.token_to_id(first)
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A", special_tokens=[(first, number)])
    return tokenizer


def blank_tokenizer(prepends: str) -> Tokenizer:
    """SentencePiece-like; `prepends` is `normalizer` or a scheme of Metaspace."""
    words = ["▁", "▁Good", "▁day", "▁Yes", *"▁GodayesISNT[]/hi.,:<>|nurt\n"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *dict.fromkeys(words)]
    vocab = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if prepends == "normalizer":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepends, split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in ("<unk>", "<s>", "</s>")]
    )
    return tokenizer


def write_chain(
    folder: Path, tokenizer: Tokenizer, chain: dict[str, str], config: dict[str, Any], generation: dict[str, Any]
) -> Path:
    """A Llama-shaped folder that answers along `chain`; `config` is for `tokenizer_config.json`."""
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    size = -(-tokenizer.get_vocab_size() // 64) * 64
    shape = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": size, "hidden_size": size,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": False, "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    (folder / "generation_config.json").write_text(json.dumps(generation))
    classes = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**classes, **config}, indent=3))
    head = torch.zeros(size, size)
    for before, after in chain.items():
        head[tokenizer.token_to_id(after), tokenizer.token_to_id(before)] = 20.0
    layer = "model.layers.0."
    ones, none = torch.ones(size), torch.zeros
    save_file(
        {
            "model.embed_tokens.weight": torch.eye(size), "model.norm.weight": ones, "lm_head.weight": head,
            layer + "input_layernorm.weight": ones.clone(), layer + "post_attention_layernorm.weight": ones.clone(),
            layer + "self_attn.q_proj.weight": none(64, size), layer + "self_attn.k_proj.weight": none(64, size),
            layer + "self_attn.v_proj.weight": none(64, size), layer + "self_attn.o_proj.weight": none(size, 64),
            layer + "mlp.gate_proj.weight": none(64, size), layer + "mlp.up_proj.weight": none(64, size),
            layer + "mlp.down_proj.weight": none(size, 64),
        },
        folder / "model.safetensors", metadata={"format": "pt"},
    )  # fmt: skip
    return folder
