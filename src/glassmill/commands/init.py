"""`glassmill init`: a recipe for your own pages, with every setting, its default and its meaning as comments.

What it sets is what the built-in recipe `documents` sets, or `web` where the input is a crawl: WARC files only. Instead
of a time box it sets steps, by the size of the text, so that the same recipe gives the same model on every machine.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from glassmill.commands.plan import bytes_per_token, input_bytes
from glassmill.corpus.read.files.kinds import WARC, kind_of
from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.recipe import Recipe, Settings, find_recipe, load_recipe
from glassmill.run.files import atomic_write
from glassmill.run.inputs import readable_files

HEAD = """\
# A recipe: which pages to use, and how. A setting that is commented out shows its default.
#   glassmill plan {file}                   estimate what it will take, before anything starts
#   glassmill run {file}                    run all stages; run it again to continue after an interruption
#   glassmill run {file} train.minutes=2    change one setting for this run
"""

PROFILES = ("documents", "web")
EPOCHS = 4
"""Passes over a text that teach about as much as new text would (Muennighoff et al. 2023, arXiv 2305.16264)."""
TOKENS_PER_PARAMETER = 20
"""Beyond them, a larger model learns more from the same computation (Hoffmann et al. 2022, arXiv 2203.15556)."""
LEAST_STEPS = 100
"""Of a training that is to learn anything at all."""


def write_template(path: Path, inputs: tuple[str, ...], force: bool = False, profile: str | None = None) -> str:
    """Writes the recipe, and returns the profile: the one given, or the one that fits the inputs.

    Raises:
        UserError: the file exists, an input names nothing, or there is no such profile.
    """
    if profile not in (None, *PROFILES):
        raise UserError(f"unknown profile {profile!r}; give {' or '.join(PROFILES)}")
    if path.exists() and not force:
        raise UserError(f"{path} exists; choose another name, or overwrite it with --force")
    profile = profile or profile_of(inputs)
    readable_files(inputs)
    chosen = dict(_flat(tomllib.loads(find_recipe(profile).read_text(encoding="utf-8")), ""))
    chosen["corpus.inputs"] = list(inputs)
    steps, why = length_for(profile, inputs)
    if steps:
        del chosen["train.minutes"]
        chosen["train.steps"] = steps
    lines = [HEAD.format(file=path.name), *_section(Recipe(), "", chosen)]
    text = "\n".join(lines) + "\n"
    atomic_write(path, text.replace(f"\nsteps = {steps}\n", f"\nsteps = {steps}  # {why}\n"))
    return profile


def length_for(profile: str, inputs: tuple[str, ...]) -> tuple[int, str]:
    """How many steps of training the text of the inputs is worth, and why; 0 where there is none to count."""
    settings = [f"corpus.inputs={json.dumps(inputs)}"]
    recipe = load_recipe(find_recipe(profile), settings) if inputs else None
    tokens = int(input_bytes(recipe)[1] / bytes_per_token(recipe.tokenizer.vocab_size)) if recipe else 0
    if recipe is None or not tokens:
        return 0, ""
    shape = ModelConfig(vocab_size=recipe.tokenizer.vocab_size, **recipe.model.shape())
    most = TOKENS_PER_PARAMETER * num_parameters(shape)
    steps = round(min(EPOCHS * tokens, most) / recipe.train.batch_tokens)
    if steps < LEAST_STEPS:
        return LEAST_STEPS, f"the text is small: about {tokens:,} tokens, read {_epochs(LEAST_STEPS, recipe, tokens)}"
    much = "" if EPOCHS * tokens <= most else f": {TOKENS_PER_PARAMETER} tokens per parameter are enough for this model"
    return steps, f"about {tokens:,} tokens of text, read {_epochs(steps, recipe, tokens)}{much}"


def _epochs(steps: int, recipe: Recipe, tokens: int) -> str:
    return f"{steps * recipe.train.batch_tokens / tokens:.3g} times"


def profile_of(inputs: tuple[str, ...]) -> str:
    """`documents`, unless all inputs are WARC files: those are crawls, and need the rules for crawled pages."""
    return "documents" if any(kind_of(path) != WARC for path in readable_files(inputs)) else "web"


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    """Dotted names and values of a recipe's table."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


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
