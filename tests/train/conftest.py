"""The tiny town, tokenised once for all tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.builders import write_tokens


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tokens run and of its tokenizer."""
    return write_tokens(tmp_path_factory.mktemp("town"))
