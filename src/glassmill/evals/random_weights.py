"""A decoder over a model of the same shape that has learned nothing: what a score is worth without training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from glassmill.infer.choose import load_decoder
from glassmill.infer.decoder import Decoder
from glassmill.infer.find import read_config
from glassmill.tokens.tokenizer import Tokenizer


@contextmanager
def untrained(folder: Path, tokenizer: Tokenizer, rows: int, seed: int) -> Iterator[Decoder]:
    """The decoder, whose weights lie in a temporary folder until the end of the block."""
    from glassmill.infer.folder import save_folder
    from glassmill.model.initial import initialize
    from glassmill.model.transformer import Transformer

    model = Transformer(read_config(folder))
    initialize(model, seed)
    with TemporaryDirectory(prefix="glassmill-") as place:
        save_folder(Path(place) / "model", model, tokenizer, {})
        del model
        yield load_decoder(Path(place) / "model", rows)
