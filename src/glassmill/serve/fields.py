"""Fields of requests that this server does not have: which are refused, and which are ignored with a line in the log.

A field that would change the answer is refused by name, so that nobody silently gets something else; so is one that
looks like a misspelt field. Any other is accepted, because clients send what other servers understand.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from glassmill.errors import ApiError

SIMILAR = 0.8
MAX_TOLD = 200
MAX_NAME_CHARACTERS = 60

log = logging.getLogger(__name__)


def _empty(value: Any) -> bool:
    return not value


def _is(*harmless: Any) -> Callable[[Any], bool]:
    return lambda value: value in harmless


_TOOLS = "the old form of tools; send the functions in tools and the choice in tool_choice"
_PLAIN = "the model only writes plain text"
_FORM = "response_format holds answers to a JSON schema"
_SAMPLING = "this way of drawing tokens is not implemented"
UNSUPPORTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "functions": (_empty, _TOOLS),
    "function_call": (_is("auto", "none"), _TOOLS),
    "modalities": (_is(["text"]), _PLAIN),
    "audio": (_empty, _PLAIN),
    "prediction": (_empty, "predicted outputs are not implemented"),
    "web_search_options": (_empty, "the server makes no outgoing connections"),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar"), (_empty, _FORM)),
    **dict.fromkeys(("json_schema", "structured_outputs", "regex", "ebnf"), (_empty, _FORM)),
    **dict.fromkeys(("use_beam_search", "mirostat", "xtc_probability", "dry_multiplier"), (_empty, _SAMPLING)),
    **dict.fromkeys(("dynatemp_range", "min_tokens", "bad_words", "allowed_token_ids"), (_empty, _SAMPLING)),
    **dict.fromkeys(("typical_p", "tfs_z", "length_penalty"), (_is(1), _SAMPLING)),
    "top_n_sigma": (lambda value: isinstance(value, int | float) and value <= 0, _SAMPLING),
    "prompt_logprobs": (_is(0), "echo with logprobs, at /v1/completions, gives them"),
    "truncate_prompt_tokens": (_is(-1), "truncation = auto, in a chat, leaves out the oldest turns"),
    "chat_template": (_empty, "the model's own template is used"),
}
"""Field -> which values are harmless, besides null, and why the others are refused."""

CALLED_HERE = {
    "n_predict": "max_tokens",
    "num_predict": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "repeat_penalty": "repetition_penalty",
}
"""What other servers call a field -> its name here."""


def check_fields(extra: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse fields among `extra` that would change the answer, and log each other name once.

    Args:
        extra: Fields of a request that the endpoint does not know.
        known: Those it knows.

    Raises:
        ApiError: 400, with the field's name.
    """
    for name, value in extra.items():
        if name in UNSUPPORTED:
            refuse_unless_harmless(name, value)
        elif near := CALLED_HERE.get(name) or _nearest(name, known):
            raise ApiError(400, f"unknown field {name}; did you mean {near}?", param=name, code="unknown_field")
        else:
            tell_ignored(name[:MAX_NAME_CHARACTERS])


@lru_cache(MAX_TOLD)
def tell_ignored(name: str) -> None:
    """Log the name of an ignored field, once."""
    log.warning("requests have a field that this server ignores: %r", name)


def refuse_unless_harmless(name: str, value: Any) -> None:
    """Refuse `value` if the field `name` would change the answer with it.

    Raises:
        ApiError: 400, with the field's name.
    """
    is_harmless, why = UNSUPPORTED[name]
    if value is not None and not is_harmless(value):
        raise ApiError(400, f"{name} is not supported: {why}", param=name, code="unsupported_field")


def _nearest(name: str, known: Collection[str]) -> str | None:
    """The field that `name` is probably meant to be: `topP` and `temprature` are close to one."""
    bare = {_bare(field): field for field in known}
    if _bare(name) in bare:
        return bare[_bare(name)]
    return next(iter(difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], known, n=1, cutoff=SIMILAR)), None)


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
