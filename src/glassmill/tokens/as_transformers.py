"""A `tokenizers.Tokenizer` from the files of a folder, with every token and default that transformers would add.

Source: transformers 5, `tokenization_utils_base.py`, `tokenization_utils_tokenizers.py` and, for folders that name
`LlamaTokenizer`, `models/llama/tokenization_llama.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
LLAMA_DEFAULTS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


def loaded(full: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Tokenizer, dict[str, str]]:
    """The tokenizer with every token that the folder adds, and the texts of its special tokens by role."""
    llama = _is_llama(full, config)
    tokenizer = Tokenizer.from_str(json.dumps(_as_llama(full, config) if llama else full))
    roles: dict[str, Any] = {**LLAMA_DEFAULTS} if llama else {}
    roles |= {role: config[role] for role in ROLES if config.get(role) is not None}
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    listed = config.get("added_tokens_decoder")
    if listed is None:
        roles |= {role: one for role, one in config.get("special_tokens_map", {}).items() if role in ROLES and one}
        extra = config.get("special_tokens_map", {}).get("additional_special_tokens") or extra
        listed = _legacy_tokens(full, config, {*map(_content, roles.values()), *map(_content, extra)})
    ordered = [_token(one) for _, one in sorted(listed.items(), key=lambda entry: int(entry[0]))]
    by_text = {token.content: token for token in ordered}
    roles = {role: by_text.get(_content(one)) or _token(one) for role, one in roles.items()}
    there = tokenizer.get_added_tokens_decoder().values()
    known, same = {token.content for token in there}, {repr(token) for token in there}
    adding = [token for token in ordered if repr(token) not in same]
    known |= {token.content for token in adding}
    for token in [*roles.values(), *map(_token, extra if isinstance(extra, list) else extra.values())]:
        if token.content not in known:
            adding.append(token)
            known.add(token.content)
    for token in adding:
        token.special = token.special or token.content in {one.content for one in roles.values()}
    tokenizer.add_tokens(adding)
    return tokenizer, {role: token.content for role, token in roles.items()}


def _legacy_tokens(full: Mapping[str, Any], config: Mapping[str, Any], special: set[str]) -> dict[int, Any]:
    """Added tokens by id where `tokenizer_config.json` does not list them."""
    listed: dict[int, Any] = {}
    for text, number in (config.get("added_tokens") or {}).items():
        is_special = text in special
        listed[int(number)] = {"content": text, "normalized": not is_special, "special": is_special}
    return listed | {int(one["id"]): one for one in full.get("added_tokens") or []}


def _token(entry: Any) -> AddedToken:
    """A token as a string (then it is special) or with its flags."""
    if not isinstance(entry, dict):
        return AddedToken(_content(entry), special=True)
    return AddedToken(_content(entry), **{flag: bool(entry[flag]) for flag in FLAGS if flag in entry})


def _content(entry: Any) -> str:
    text = entry.get("content") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise ValueError(f"a special token is {str(text)[:40]!r}, which is not a text")
    return text


def _is_llama(full: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether transformers would set up its `LlamaTokenizer` instead of what the file describes."""
    name = str(config.get("tokenizer_class") or ("LlamaTokenizer" if config.get("model_type") == "llama" else ""))
    mistral = str(config.get("model_type")).startswith(("mistral", "ministral", "mixtral"))
    byte_level = '"ByteLevel"' in json.dumps({**full, "model": None})
    of_pairs = full["model"].get("type", "BPE") == "BPE"
    return name.removesuffix("Fast") == "LlamaTokenizer" and of_pairs and not byte_level and not mistral


def _as_llama(full: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    prefix = config.get("add_prefix_space")
    prefix = True if prefix is None else bool(prefix)
    scheme = "never" if not prefix else "always" if config.get("legacy") else "first"
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    decoders += [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    kept = {"vocab": full["model"]["vocab"], "merges": full["model"].get("merges") or []}
    fixed = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": True, "byte_fallback": True}
    return {
        **full,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False},
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {**fixed, **kept},
    }


def renamed(full: dict[str, Any], secret: Mapping[str, str]) -> dict[str, Any]:
    """A `tokenizer.json` with other names for control tokens, in the list of added tokens and in the vocabulary."""
    model = full["model"]
    for token in full["added_tokens"]:
        token["content"] = secret.get(token["content"], token["content"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {secret.get(spelled, spelled): number for spelled, number in model["vocab"].items()}
    else:
        model["vocab"] = [[secret.get(spelled, spelled), score] for spelled, score in model["vocab"]]
    if model.get("unk_token") in secret:
        model["unk_token"] = secret[model["unk_token"]]
    if model.get("merges"):
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [pair for pair in pairs if not {*pair, "".join(pair)} & secret.keys()]
    return full
