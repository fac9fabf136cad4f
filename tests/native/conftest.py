"""The published vocabulary and its reference engine, where the rank file lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiktoken

from glassmill import native
from tests.native.strings import CL100K, read_ranks

if not native.available():  # an installation without the compiled core has nothing to test here
    collect_ignore_glob = ["test_*.py"]

CL100K_SPECIAL = {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
                  "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}  # fmt: skip


@pytest.fixture(scope="session")
def cl100k_ranks(shared_data: Path) -> dict[bytes, int]:
    return read_ranks(shared_data / "tokenizers" / "cl100k_base.tiktoken")


@pytest.fixture(scope="session")
def cl100k(cl100k_ranks: dict[bytes, int]) -> native.Encoder:
    return native.Encoder(cl100k_ranks, "cl100k_base", special=CL100K_SPECIAL)


@pytest.fixture(scope="session")
def reference(cl100k_ranks: dict[bytes, int]) -> tiktoken.Encoding:
    return tiktoken.Encoding("cl100k", pat_str=CL100K, mergeable_ranks=cl100k_ranks, special_tokens=CL100K_SPECIAL)
