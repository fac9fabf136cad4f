"""From a recipe's name or file to one immutable `Recipe`: defaults, the TOML file, then `key=value` overrides.

An unknown key is an error that names the nearest known one: a setting that is silently ignored costs days.
"""

from __future__ import annotations

import difflib
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glassmill.errors import UserError
from glassmill.printable import shown
from glassmill.recipe.base import Settings
from glassmill.recipe.depth import DECIDED
from glassmill.recipe.whole import Recipe
from glassmill.textfiles import read_text

MAX_RECIPE_BYTES = 1 << 20
OF_TYPE = {
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "model_type": "must be a table",
    "dict_type": "must be a table",
}
"""Where pydantic speaks of Python's types."""
OF_PATTERN = {
    r"^https?://": "must begin with http:// or https://",
    r"^[a-z0-9][a-z0-9_-]{0,39}$": "must be up to 40 of a-z, 0-9, - and _, and begin with a letter or a digit",
}


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the TOML file `path`, changed by `overrides` such as `"train.minutes=2"`.

    Raises:
        UserError: no such file, invalid TOML, an unknown key (with the nearest known one), or a value out of bounds.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise UserError(f"{path} is a device or a pipe, not a recipe; name the .toml file")
        table = tomllib.loads(read_text(path, MAX_RECIPE_BYTES))
    except FileNotFoundError:
        raise UserError(f"no recipe at {path}; `glassmill init` writes one") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a recipe; name the .toml file") from None
    except OSError as error:
        raise UserError(f"{shown(str(path))} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, a number of 5,000 digits, 1,000 brackets
        raise UserError(f"{path} is not valid TOML: {_toml_fault(error)}") from None
    table.setdefault("name", path.stem)
    return make_recipe(table, overrides, where=str(path))


def find_recipe(name: str) -> Path:
    """The file that `name` stands for: a path, or a built-in recipe such as `demo`.

    Raises:
        UserError: it is neither.
    """
    try:
        is_file = Path(name).exists()
    except (OSError, ValueError):  # too long for a file's name
        is_file = False
    if name.endswith(".toml") or is_file:
        return Path(name)
    package = Path(__file__).parents[1]
    for folder in (package / "recipes", package.parents[1] / "recipes"):  # in a wheel; in a source tree
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    raise UserError(
        f"no recipe {shown(name)!r}: give a .toml file, or demo, documents or web; `glassmill init` writes one for "
        "your files"
    )


def make_recipe(table: Mapping[str, Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """A recipe from nested plain values. See `load_recipe`."""
    merged: dict[str, object] = {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}
    if any(override.partition("=")[0].strip() == "model.depth" for override in overrides):
        for section in ("model", "train"):  # a depth given last replaces the file's numbers, not the other way round
            if isinstance(given := merged.get(section), dict):
                merged[section] = {key: given[key] for key in given if f"{section}.{key}" not in DECIDED}
    for override in overrides:
        _apply(merged, override)
    _rename(merged, where)
    _check_names(merged, Recipe, where, prefix="")
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        value = first.get("input")
        pattern = str(first.get("ctx", {}).get("pattern"))
        reason = OF_TYPE.get(first["type"]) or OF_PATTERN.get(pattern) or first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error" and isinstance(value, Mapping | Settings):  # the reason names the settings
            raise UserError(f"{where}: {reason}") from None
        raise UserError(f"{where}: {key} = {shown(repr(value))}: {reason}") from None


def _toml_fault(error: Exception) -> str:
    return "its values are nested too deep" if isinstance(error, RecursionError) else str(error).partition(";")[0]


def _apply(table: dict[str, object], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise UserError(f"cannot read {override!r}; write settings as key=value, for example train.minutes=2")
    parts = key.strip().split(".")
    place = table
    for part in parts[:-1]:
        given = place.get(part)
        inner: dict[str, object] = dict(given) if isinstance(given, Mapping) else {}
        place[part] = inner
        place = inner
    place[parts[-1]] = _value(text.strip(), _field_at(parts))


def _field_at(parts: Sequence[str]) -> Any:
    """The annotation of the field a dotted key names, or None where there is no such field."""
    model: Any = Recipe
    annotation: Any = None
    for part in parts:
        if not (isinstance(model, type) and issubclass(model, Settings)) or part not in model.model_fields:
            return None
        annotation = model = model.model_fields[part].annotation
    return annotation


def _value(text: str, annotation: Any) -> Any:
    """The value of an override, read as TOML; bare text is a string, and a list may be written with commas."""
    wants_list = str(annotation).startswith("tuple[")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    if value == "none":
        return None
    if wants_list and not isinstance(value, list):
        return [part for part in (piece.strip() for piece in str(value).split(",")) if part]
    return value


RENAMED = {"run.silence_s": "run.worker_timeout_s"}
"""Old name -> new name, in the same section."""


def _rename(table: dict[str, object], where: str) -> None:
    """Reads settings under their old names, with a warning, so that recipes and finished runs stay readable."""
    for old, new in RENAMED.items():
        section, _, name = old.partition(".")
        inner = table.get(section)
        if isinstance(inner, dict) and name in inner:
            if new.partition(".")[2] in inner:
                raise UserError(f"{where}: {old} was renamed to {new}, and both are set; remove {old}")
            warnings.warn(f"{where}: {old} was renamed to {new}", FutureWarning, stacklevel=3)
            others = {key: value for key, value in inner.items() if key != name}
            table[section] = {**others, new.partition(".")[2]: inner[name]}


def _check_names(table: Mapping[str, Any], model: type[Settings], where: str, prefix: str) -> None:
    for key, value in table.items():
        if key not in model.model_fields:
            known = [prefix + name for name in model.model_fields]
            near = difflib.get_close_matches(key, list(model.model_fields), n=1, cutoff=0.4)
            elsewhere = [name for name in _all_keys(Recipe, "") if name.rsplit(".", 1)[-1] == key]
            hint = elsewhere[0] if elsewhere else prefix + near[0] if near else None
            help_text = f"did you mean {hint}?" if hint else f"known: {', '.join(known)}"
            raise UserError(f"{where}: unknown setting {shown(prefix + key)}; {help_text}")
        inner = model.model_fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, Settings) and isinstance(value, Mapping):
            _check_names(value, inner, where, f"{prefix}{key}.")


def _all_keys(model: type[Settings], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        yield prefix + name
        if isinstance(inner, type) and issubclass(inner, Settings):
            yield from _all_keys(inner, f"{prefix}{name}.")
