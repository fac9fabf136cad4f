"""`export MODEL out.html`: one file in which a small model chats and shows its attention, opened from a disk, offline.

In: a model folder. Out: a page that holds everything: weights in q8_0's blocks, vocabulary, the network in plain
JavaScript (`page/`), style and words. It requests nothing; its own security policy forbids that, and runs the one
script whose hash it names. What a model or its files say is data in the page, never markup.

    glassmill export sft/mine-3f9a1c out.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glassmill.errors import UserError
from glassmill.infer.compose import end_token_ids
from glassmill.infer.find import find_model_folder, read_config
from glassmill.infer.folder import LoadedModel, load_folder
from glassmill.infer.generate import model_name
from glassmill.infer.weights import read_blocks
from glassmill.model.blocks import FORMATS, LARGEST, format_for, quantize
from glassmill.model.plain_formats import Bytes
from glassmill.model.rope import rope_angles
from glassmill.model.sizes import num_parameters
from glassmill.run.files import atomic_path
from glassmill.tokens.foreign import byte_level
from glassmill.tokens.formats import read_json
from glassmill.tokens.plain_split import portable, runs
from glassmill.tokens.specials import CHAT_TEMPLATE
from glassmill.tokens.split import PATTERNS
from glassmill.tokens.tokenizer import Tokenizer

MAX_BYTES = 48_000_000
"""A larger page would be slow to open, and its answers slower than reading."""
BYTES_PER_PARAMETER = 1.0625 * 4 / 3
"""q8_0 in base64; deflating takes about a tenth off."""
SCRIPTS = ("unpack", "tokenizer", "network", "calculator", "cuts", "talk", "view")
Q8 = FORMATS["q8_0"]


def export_page(model: str | Path, out: Path, questions: Sequence[str] = ()) -> Path:
    """Writes `out` atomically.

    Args:
        model: The model folder, or a run that has one.
        out: The page.
        questions: Offered on it, to be asked with one click.

    Raises:
        UserError: No model folder, one too large for a page, or a tokenizer that the page could not reproduce.
    """
    folder = find_model_folder(model)
    parameters = num_parameters(read_config(folder))
    if (size := parameters * BYTES_PER_PARAMETER) > MAX_BYTES:
        raise UserError(
            f"{model} has {parameters / 1e6:,.0f} million parameters: a page of about {size / 1e6:,.0f} MB, and at "
            f"most {MAX_BYTES / 1e6:.0f} MB open well in a browser; use `glassmill serve`, or export a .gguf file"
        )
    loaded = load_folder(folder, dtype=torch.float32)
    entries, weights = _packed(loaded, folder)
    about = {
        "name": model_name(folder),
        "parameters": parameters,
        "config": _shape(loaded),
        "tensors": entries,
        "vocabulary": _vocabulary(loaded.tokenizer, folder),
        "how": _speech(loaded.tokenizer),
        "questions": list(questions),
    }
    with atomic_path(out) as temporary:
        temporary.write_text(_page(about, weights), encoding="utf-8", newline="\n")
    return out


def _page(about: Mapping[str, Any], weights: bytes) -> str:
    """The whole page. `<` never stands in its data, so no text there can end the element that holds it."""
    parts = files("glassmill.export") / "page"
    script, style = bundle(), (parts / "page.css").read_text(encoding="utf-8")
    filled = {
        "policy": "default-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        f"trusted-types 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'",
        "title": escape(str(about["name"])),
        "style": style,
        "script": script,
        "about": json.dumps(about, separators=(",", ":")).replace("<", "\\u003c"),
        "weights": base64.b64encode(weights).decode("ascii"),
    }
    page = (parts / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], page)


def bundle() -> str:
    """The page's modules as one script, in the order of `SCRIPTS`, without what joins them as files.

    `cuts` is the studio's own: both pages cut a distribution in the same way.
    """
    own, studio = files("glassmill.export") / "page", files("glassmill.studio") / "static" / "js" / "lib"
    texts = [((studio if name == "cuts" else own) / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    whole = re.sub(r"(?m)^import .*\n|^export (?=function|class|const|async)", "", "\n".join(texts))
    assert "</script" not in whole.lower() and "<!--" not in whole
    return whole


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _packed(loaded: LoadedModel, folder: Path) -> tuple[list[dict[str, object]], bytes]:
    """What stands where, and the weights as `page/unpack.js` reads them: numbers, scales, what stays in float32.

    Alike numbers stand together, which deflate likes. Blocks of a folder in q8_0 are taken as they are.

    Raises:
        UserError: a weight is too large for a block.
    """
    stored = read_blocks(folder, loaded.config)
    entries: list[dict[str, object]] = []
    numbers, scales, plain = list[bytes](), list[bytes](), list[bytes]()
    for name, parameter in loaded.model.state_dict().items():
        rows = parameter.numpy()
        packed = format_for(name, rows.shape, Q8, loaded.config.tie_embeddings) == Q8
        if packed:
            if float(np.abs(rows).max()) > LARGEST:
                raise UserError(f"{folder}: {name} has a weight beyond {LARGEST:g}, which no block can hold")
            kept = stored.get(name)
            blocks = _blocks(kept[1] if kept and kept[0] == Q8 else quantize(rows, Q8))
            scales.append(blocks[:, :2].tobytes())
            numbers.append(blocks[:, 2:].tobytes())
        else:
            plain.append(rows.astype("<f4").tobytes())
        columns = rows.shape[-1]
        entries.append({"name": name, "rows": rows.size // columns, "columns": columns, "packed": packed})
    return entries, zlib.compress(b"".join([*numbers, *scales, *plain]), 9)


def _blocks(rows: Bytes) -> Bytes:
    return rows.reshape(-1, Q8.block_bytes)


def _shape(loaded: LoadedModel) -> dict[str, object]:
    config, scaling = loaded.config, loaded.config.rope_scaling
    names = ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff", "context_length")
    frequencies = rope_angles(torch.tensor([1]), config.head_dim, config.rope_theta, scaling)[0]
    return {
        **{name: getattr(config, name) for name in names},
        "rms_norm_eps": config.rms_norm_eps,
        "frequencies": frequencies.tolist(),
        "scale": scaling.attention_factor if scaling else 1.0,
    }


def _vocabulary(tokenizer: Tokenizer, folder: Path) -> dict[str, object]:
    """What `page/tokenizer.js` needs for the same ids.

    Raises:
        UserError: the tokenizer is of another kind.
    """
    words = tokenizer.engine.words if tokenizer.engine is not None else {}
    path = folder / "tokenizer.json"
    symbols = {number: tokenizer.token_bytes(number) for number in tokenizer.symbol_ids()}
    known = byte_level(read_json(path), symbols) if path.is_file() and not words else None
    if known is None or known["missing"]:
        raise UserError(
            f"{folder}: a page cannot split text as this tokenizer does; it can for a byte-level vocabulary with "
            f"tokenizer.pattern = {', '.join(PATTERNS)} and no words beside it"
        )
    order = np.full(tokenizer.vocab_size, -1)
    for place, (_, _, made) in enumerate(known["merges"]):
        order[made] = place
    spelled = [symbols[n].decode("latin-1") if n in symbols else None for n in range(tokenizer.vocab_size)]
    return {
        "symbols": spelled,
        "order": order.tolist(),
        "whole": known["ignore_merges"],
        "form": known["form"],
        "pattern": in_javascript(known["pattern"]),
        "classes": [first << 3 | kind for first, kind in runs()],
        "control": dict(tokenizer.special),
    }


def in_javascript(pattern: str) -> str:
    """A split pattern of the table without what JavaScript lacks: possessive repetition, and ignoring case in a part.

    None of these patterns would give back what it took, so leaving out possession changes nothing. `s` also stands for
    the long s, as where case is ignored in all of Unicode.

    >>> in_javascript(r"(?i:'s|'t)|\\p{N}{1,3}+| ?\\p{L}++")
    "(?:'[sSſ]|'[tT])|\\\\p{N}{1,3}| ?\\\\p{L}+"
    """
    simple = re.sub(r"(?<=[+?*])\+", "", portable(pattern)).replace(r"\z", "$")

    def any_case(found: re.Match[str]) -> str:
        out, in_set = "", False
        for char in found[1]:
            in_set = (in_set or char == "[") and char != "]"
            both = char + char.upper() + ("ſ" if char == "s" else "")
            out += char if not char.isalpha() else both if in_set else f"[{both}]"
        return f"(?:{out})"

    return re.sub(r"\(\?i:([^)]*)\)", any_case, simple)


def _speech(tokenizer: Tokenizer) -> dict[str, object]:
    """How the page asks: by glassmill's own chat template, or, for any other model, as a text that goes on.

    `begin`: ids in front of every text.
    """
    chat = tokenizer.chat_template == CHAT_TEMPLATE
    begin = [] if chat else [int(token) for token in tokenizer.framed("")]
    return {"chat": chat, "begin": begin, "stops": sorted(end_token_ids(tokenizer))}
