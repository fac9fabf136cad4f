"""`glassmill init`: a recipe for your own pages, with every setting, its default and its meaning as comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from glassmill.errors import UserError
from glassmill.recipe import Recipe, Settings
from glassmill.run.files import atomic_write
from glassmill.run.inputs import expand

HEAD = """\
# A recipe: which pages to use, and how. A setting that is commented out shows its default.
#   glassmill plan {file}                   estimate what it will take, before anything starts
#   glassmill run {file}                    run all stages; run it again to continue after an interruption
#   glassmill run {file} train.minutes=2    change one setting for this run
"""

CHOSEN: dict[str, object] = {
    "stages": ["corpus", "tokenizer", "tokens", "train", "eval"],
    "tokenizer.vocab_size": 8192,
    "model.d_model": 256,
    "model.num_layers": 6,
    "model.num_heads": 4,
    "model.num_kv_heads": 4,
    "model.head_dim": 64,
    "model.d_ff": 704,
    "model.context_length": 512,
    "train.minutes": 10.0,
}
"""What a first recipe sets: sizes for a laptop, and no conversations yet."""


def write_template(path: Path, inputs: tuple[str, ...], force: bool = False) -> None:
    """Writes the recipe.

    Raises:
        UserError: the file exists, or an input names nothing.
    """
    if path.exists() and not force:
        raise UserError(f"{path} exists; choose another name, or overwrite it with --force")
    if inputs:
        expand(inputs)
    chosen = CHOSEN | {"corpus.inputs": list(inputs)}
    lines = [HEAD.format(file=path.name), *_section(Recipe(), "", chosen)]
    atomic_write(path, "\n".join(lines) + "\n")


def _section(settings: Settings, prefix: str, chosen: Mapping[str, object]) -> Iterator[str]:
    """The plain settings of a section first, then its inner sections: TOML requires that order."""
    inner: list[tuple[str, Settings]] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            inner.append((name, value))
        elif not (prefix == "" and name == "name"):  # the file's own name is the recipe's
            yield from _setting(name, chosen.get(prefix + name), value, field)
    for name, value in inner:
        if prefix == "" and name == "miniweb":  # the demo's own web
            continue
        yield f"\n[{prefix}{name}]"
        yield from _section(value, f"{prefix}{name}.", chosen)


def _setting(name: str, chosen: object, default: object, field: FieldInfo) -> Iterator[str]:
    if field.description:
        yield f"# {field.description}"
    if chosen is not None:
        yield f"{name} = {_toml(chosen)}"
    else:
        yield f"# {name} = {_toml(default)}" if default is not None else f"# {name} is not set"


def _toml(value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
