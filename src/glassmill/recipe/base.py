"""What every section of a recipe is: immutable, strict about names, and able to name what decides an output.

Fields declared with `runtime()` say how a machine does the work, not what comes out; they stay out of a run's identity.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from glassmill.printable import valid


def runtime(default: Any, **kwargs: Any) -> Any:
    """A field that changes how fast a stage runs or how it is shown, never its artefacts."""
    return Field(default, json_schema_extra={"runtime": True}, **kwargs)


def resolved_here(default: Any, **kwargs: Any) -> Any:
    """A field such as `auto`, for which the machine chooses a value. The run's identity has that value under `resolved`
    instead of the field."""
    return Field(default, json_schema_extra={"runtime": True}, **kwargs)


def user_file(default: Any, **kwargs: Any) -> Any:
    """A path, or paths, of what the user has. A run depends on the content, not on the path: see `files` of `Stage`."""
    return Field(default, json_schema_extra={"runtime": True, "file": True}, **kwargs)


def user_files(description: str) -> Any:
    """Paths of the user's own files."""
    return user_file((), description=description)


class Settings(BaseModel):
    """Base of every section: immutable, strict about names, and without infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _fits_a_file(cls, value: Any) -> Any:
        """No number beyond 64 bits and no text that is not UTF-8: neither can be stored in TOML, Parquet or JSON."""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("give a whole number below 2^63")
        for text in (value,) if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ():
            if isinstance(text, str) and valid(text) != text:
                raise ValueError(
                    "a name that is not UTF-8 cannot stand in a recipe; rename the file or name its folder"
                )
        return value

    def identity(self) -> dict[str, object]:
        """The settings that decide the output, as plain JSON values; without runtime fields, at any depth."""
        return self._kept(files=False)

    def chosen(self) -> dict[str, str | int]:
        """What the user chose himself of what a machine otherwise decides, and the output depends on."""
        return {}

    def digest(self) -> str:
        """SHA-256 of the settings that decide the output, and of the paths of the user's files."""
        text = json.dumps(self._kept(files=True), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _kept(self, files: bool) -> dict[str, object]:
        kept: dict[str, object] = {}
        for name, field in type(self).model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and extra.get("runtime") and not (files and extra.get("file")):
                continue
            value = getattr(self, name)
            kept[name] = value._kept(files) if isinstance(value, Settings) else _plain(value)
        return kept


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
