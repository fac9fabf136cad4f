"""Model folders whose chat templates have tools, in the three styles, and a decoder that says what a test wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glassmill.infer.decoder import Answer, Decoder, DecoderInfo, Piece, check_pieces
from glassmill.infer.find import read_config
from glassmill.infer.folder import save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.tokens.tokenizer import Tokenizer

OFFER = "{% if tools %}<|system|>{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}"
TURNS = (
    OFFER + "{% for m in messages %}<|{{ 'user' if m.role == 'tool' else m.role }}|>"
    "{{ 'result: ' if m.role == 'tool' }}{{ m.content or '' }}CALLS<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
EACH = "{% for c in m.tool_calls or [] %}CALL{% endfor %}"
ONE = '{"name": "{{ c.function.name }}", "FIELD": {{ c.function.arguments | tojson }}}'
CALLS = {
    "hermes": EACH.replace("CALL", f"<tool_call>\n{ONE}\n</tool_call>").replace("FIELD", "arguments"),
    "mistral": "{{ '[TOOL_CALLS][' if m.tool_calls }}LIST{{ ']' if m.tool_calls }}".replace(
        "LIST", EACH.replace("CALL", ONE).replace("FIELD", "arguments")
    ),
    "bare": EACH.replace("CALL", "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}"),
    "llama": "{# parameters: ipython #}" + EACH.replace("CALL", ONE).replace("FIELD", "parameters"),
}  # fmt: skip


def tool_folder(folder: Path, tokenizer: Tokenizer, style: str, control: Sequence[str] = ()) -> Path:
    """A random model that was taught tools, going by its template; `control` names more control tokens."""
    names = {**tokenizer.special, **{name: tokenizer.vocab_size + i for i, name in enumerate(control)}}
    tokenizer = Tokenizer.from_ranks(tokenizer.ranks, tokenizer._files.pattern, names)  # type: ignore[attr-defined, union-attr]
    shape = {"d_model": 32, "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "d_ff": 48}
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, context_length=2048, **shape))
    initialize(model, seed=0)
    save_folder(folder, model, tokenizer, {})
    for own in ("meta.json", "vocab.tiktoken"):
        (folder / own).unlink()
    (folder / "glassmill.json").write_text('{"integrity": null}')
    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = TURNS.replace("CALLS", CALLS[style])
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    return folder


class Script(Decoder):
    """Says `script` wherever it is asked to go on: the next token behind the longest beginning of it that it sees."""

    script: tuple[int, ...] = ()

    def __init__(self, folder: Path, max_rows: int) -> None:
        config = read_config(folder)
        self._info = DecoderInfo(config.vocab_size, config.context_length, max_rows, 4)
        self.rows: dict[int, list[int]] = {}
        self.opened = 0

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return 0

    def open_row(self) -> int:
        self.opened += 1
        self.rows[self.opened] = []
        return self.opened

    def close_row(self, row: int) -> None:
        del self.rows[row]

    def length(self, row: int) -> int:
        return len(self.rows[row])

    def truncate(self, row: int, length: int) -> None:
        del self.rows[row][length:]

    def fork(self, row: int, length: int) -> int:
        made = self.open_row()
        self.rows[made] = self.rows[row][:length]
        return made

    def fits(self, lengths: Sequence[int]) -> bool:
        return len(lengths) <= self._info.max_rows

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        check_pieces(pieces, {row: len(ids) for row, ids in self.rows.items()}, self._info)
        return [self._answer(piece) for piece in pieces]

    def _answer(self, piece: Piece) -> Answer:
        self.rows[piece.row] += map(int, piece.ids)
        seen, n = self.rows[piece.row], len(self.rows[piece.row])
        following = [self._next(seen[: n - piece.want + i + 1]) for i in range(piece.want)]
        if piece.greedy:
            return Answer(ids=tuple(following))
        logits_WV = np.zeros((piece.want, self._info.vocab_size), dtype=np.float32)
        logits_WV[np.arange(piece.want), following] = 50.0
        return Answer(logits_WV)

    def _next(self, seen: Sequence[int]) -> int:
        longest = next(k for k in range(len(self.script), -1, -1) if tuple(seen[len(seen) - k :]) == self.script[:k])
        return self.script[min(longest, len(self.script) - 1)]
