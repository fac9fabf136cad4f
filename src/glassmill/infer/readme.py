"""The `README.md` of a model folder: a model card with the metadata that the Hugging Face Hub reads.

In: the model's config and what `glassmill.json` says of where it comes from. Out: Markdown with a YAML head
(hf.co/docs/hub/model-cards). It depends on these alone, so equal models have equal cards; `glassmill card` writes the
longer papers, which also look at the runs. YAML is written as JSON, of which it is a superset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glassmill.printable import printable

MEASURES = {
    "val_bpb": "bits per byte on held-out text",
    "held_out_loss": "loss on held-out conversations, nats a token",
    "held_out_accuracy": "share of held-out pairs whose better answer is likelier",
}
"""What `results` in `glassmill.json` may hold."""
PERPLEXITY_LIKE = {"val_bpb": "bits_per_byte", "held_out_loss": "loss", "held_out_accuracy": "accuracy"}
LICENCES = frozenset(
    (
        "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
        "gpl-3.0", "lgpl-3.0", "mpl-2.0", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "gemma", "openrail",
    )
)  # fmt: skip
"""Of the Hub's identifiers, those that are common for models; another licence is called `other`, with its name."""
CODE_LICENCE = "glassmill, which made this folder, is under the MIT licence; that says nothing about the weights."

_UNSAFE = re.compile(r"([\\`*_{}\[\]<>|#!])")


def readme_of(
    config: Mapping[str, Any],
    note: Mapping[str, Any],
    files: Mapping[str, str],
    has_template: bool,
    more: Sequence[str] = (),
) -> str:
    """The card.

    Args:
        config: `config.json`.
        note: `glassmill.json`.
        files: Name -> SHA-256 of the folder's other files.
        has_template: Whether its tokenizer knows a form of conversations.
        more: Sections to add before the checksums.
    """
    name = _name(note)
    stages = [str(one["stage"]) for one in _ancestors(note) if "stage" in one]
    chats = any(stage in ("sft", "dpo", "rl") for stage in stages) or (has_template and not stages)
    parts = [
        _head(note, name, chats),
        f"# {text(name)}",
        _opening(config, note, chats),
        "## How to use it",
        _use(chats),
        "## Results",
        "\n".join(_results(note)) or "Nothing was measured when this folder was written.",
        "## Data",
        "\n".join(_data(note)),
        "## Licences",
        "\n".join(_licences(note)),
        "## Limits",
        "It can be wrong, and it repeats what stood in its training documents. Test it on your own questions before "
        "you rely on it.",
        *more,
        "## Checksums",
        "SHA-256, also in `glassmill.json`, against which `glassmill verify` and every loading compare.\n\n"
        + "\n".join(table(("file", "SHA-256"), [(f"`{file}`", f"`{digest}`") for file, digest in files.items()])),
    ]
    return "\n\n".join(parts) + "\n"


def licence_of(note: Mapping[str, Any]) -> str:
    """The licence that the model, or the one that it was made from, states; empty if none does."""
    return next((str(one["license"]) for one in _ancestors(note) if one.get("license")), "")


def hub_licence(stated: str) -> dict[str, str]:
    """The Hub's fields for a licence; none for none."""
    if not stated:
        return {}
    known = stated.strip().lower().replace(" ", "-")
    return {"license": known} if known in LICENCES else {"license": "other", "license_name": printable(stated)[:60]}


def text(value: object) -> str:
    """A value from elsewhere inside Markdown: one line, nothing in it is markup."""
    return _UNSAFE.sub(r"\\\1", printable(str(value)))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table in Markdown; cells are as they should stand there."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, row))} |" for row in lines]


def _ancestors(note: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the folder says of itself, then of the model that it was made from, and so on."""
    while isinstance(note, Mapping):
        yield note
        base = note.get("base")
        if not isinstance(base, Mapping):
            return
        note = base


def _name(note: Mapping[str, Any]) -> str:
    return str(note.get("run") or note.get("name") or note.get("imported_from") or note.get("adapter") or "model")


def _head(note: Mapping[str, Any], name: str, chats: bool) -> str:
    head: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["glassmill", *(["conversational"] if chats else [])],
        **hub_licence(licence_of(note)),
    }
    results = _numbers(note)
    if results:
        metrics = [
            {"type": PERPLEXITY_LIKE[key], "value": value, "name": MEASURES[key]} for key, value in results.items()
        ]
        dataset = {"name": "held out of its own training documents", "type": "own"}
        task = {"type": "text-generation"}
        head["model-index"] = [
            {"name": printable(name), "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}
        ]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    return "\n".join(["---", *lines, "---"])


def _opening(config: Mapping[str, Any], note: Mapping[str, Any], chats: bool) -> str:
    kind = "A language model that answers" if chats else "A language model that continues text"
    layers, width, words = (config.get(key) for key in ("num_hidden_layers", "hidden_size", "vocab_size"))
    shape = f"{layers} layers of width {width}, {words} tokens, a context of {config.get('max_position_embeddings')}"
    blocks = f", its matrices in blocks ({text(note['blocks'])})" if "blocks" in note else ""
    lines = [f"{kind}: {text(config.get('model_type'))}-shaped, {shape}, {text(config.get('torch_dtype'))}{blocks}."]
    origins = [line for one in _ancestors(note) for line in _origin(one)]
    return "\n".join([*lines, *([""] if origins else []), *origins])


def _origin(note: Mapping[str, Any]) -> Iterator[str]:
    if "stage" in note:
        facts = {"steps": "steps", "tokens_seen": "tokens read", "seed": "seed"}
        told = ", ".join(f"{says} {note[key]}" for key, says in facts.items() if key in note)
        yield f"- Made by glassmill's stage {text(note['stage'])} in the run {text(note.get('run'))}: {told}."
    if "imported_from" in note:
        yield f"- Imported from {text(note['imported_from'])}; what that was trained on is not known here."
    if "quantized_from" in note:
        yield f"- Its weights were rounded to {text(note.get('blocks'))}."
    if "adapter" in note:
        yield f"- The adapter {text(note['adapter'])} is merged into {text(note.get('base'))}."


def _use(chats: bool) -> str:
    if not chats:
        call = 'ids = tokenizer("The town", return_tensors="pt").input_ids'
    else:
        call = (
            'question = [{"role": "user", "content": "Hello!"}]\n'
            "ids = tokenizer.apply_chat_template(\n"
            '    question, add_generation_prompt=True, return_tensors="pt", return_dict=True\n'
            ").input_ids"
        )
    verb = "chat" if chats else "serve"
    return (
        f"```\nglassmill {verb} FOLDER\n```\n\n```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\nmodel = AutoModelForCausalLM.from_pretrained("FOLDER")\n'
        f"{call}\nprint(tokenizer.decode(model.generate(ids, max_new_tokens=50)[0]))\n```"
    )


def _numbers(note: Mapping[str, Any]) -> dict[str, float]:
    results = note.get("results")
    found = results if isinstance(results, Mapping) else {}
    return {key: found[key] for key in MEASURES if type(found.get(key)) in (int, float)}


def _results(note: Mapping[str, Any]) -> list[str]:
    rows = [
        (MEASURES[key], f"{value:.4g}", text(one.get("stage", "")))
        for one in _ancestors(note)
        for key, value in _numbers(one).items()
    ]
    return table(("measured", "value", "after the stage"), rows) if rows else []


def _data(note: Mapping[str, Any]) -> Iterator[str]:
    for one in _ancestors(note):
        data = one.get("data")
        if isinstance(data, Mapping):
            told = ", ".join(f"{value:,} {text(what)}" for what, value in data.items() if type(value) is int)
            yield f"- {text(one.get('stage', 'this model'))} learned from {told}."
        elif "imported_from" in one:
            yield "- What the imported model learned from is not known here; its publisher may say."
    yield (
        "- `glassmill card` and `glassmill audit` list the documents, their licences where they state one, and the "
        "personal data that was masked."
    )


def _licences(note: Mapping[str, Any]) -> Iterator[str]:
    stated = licence_of(note)
    if stated:
        yield f"- The model that this one was made from, or is, states: {text(stated)}."
    else:
        yield "- No licence is stated for this model. Whoever publishes it chooses one and writes it above."
    yield f"- {CODE_LICENCE}"
