"""The decoder for GPUs, on a CPU: everything but CUDA's own recorder, for which a tape stands in.

The tape keeps what a CUDA graph keeps: the kernels in order, with the addresses and shapes of the day they were
recorded. Whatever the host decides in between is not on it, and whatever makes the host wait is refused.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from glassmill.errors import UserError
from glassmill.infer import graph_decoder, graphs
from glassmill.infer.choose import chosen_decoder, chosen_device, load_decoder
from glassmill.infer.decoder import Piece, new_row, whole_logits
from glassmill.infer.generate import Model
from glassmill.infer.graph_decoder import GraphDecoder, StaticCache
from glassmill.infer.graphs import Work, rounded
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.scaling import RopeScaling
from glassmill.model.static_pass import Inputs, StaticPass
from glassmill.model.transformer import Transformer

CONTEXT, MAX_ROWS, VOCABULARY = 300, 6, 97
TOLERANCE = 2e-4
"""Of logits in float32, whose spread is about 3: both sides add the same products in another order."""
SHAPES = {
    "qwen3": ModelConfig(VOCABULARY, 48, 2, 4, 2, 16, 80, CONTEXT),
    "qwen2": ModelConfig(VOCABULARY, 48, 2, 6, 2, 8, 80, CONTEXT, qk_norm=False, qkv_bias=True),
    "llama": ModelConfig(
        VOCABULARY, 48, 2, 3, 3, 16, 80, CONTEXT, qk_norm=False, tie_embeddings=False,
        rope_scaling=RopeScaling("yarn", 4.0, 64),
    ),
}  # fmt: skip


class Tape(TorchDispatchMode):
    """Keeps every operation with its tensors, and does them again into the same outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host waits for a number"
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        for func, args, kwargs, found in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Tapes:
    """Records as `CudaGraphs` does: the work runs before, and what it gives is the same tensors ever after."""

    def __init__(self) -> None:
        self.num_recorded = self.num_replayed = 0

    def __call__(self, work: Work) -> Work:
        work()
        self.num_recorded += 1
        with Tape() as tape:
            found = work()

        def replay() -> tuple[torch.Tensor, ...]:
            self.num_replayed += 1
            for tensor in found:
                tensor.fill_(-1)
            tape.replay()
            return found

        return replay


def model_of(shape: str, dtype: torch.dtype = torch.float32) -> Transformer:
    """Weights in which every number matters."""
    model, generator = Transformer(SHAPES[shape]), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator) * 0.15
            weight.copy_(noise if weight.ndim == 2 else 1 + noise)
    return model.to(dtype).eval()


def some_ids(number: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=number)


def test_recorded_steps_give_the_tokens_and_logits_of_the_torch_decoder_whatever_rows_come_and_go() -> None:
    """As the engine works: prompts beside running rows, cancelled rows, forks of kept ones, guesses taken back."""
    tapes, chance = Tapes(), random.Random(1)
    growing = GraphDecoder(model_of("qwen3"), MAX_ROWS, max_cache_bytes=1, capture=tapes)  # from one row on
    decoders = (TorchDecoder(model_of("qwen3"), MAX_ROWS), growing)
    rows = [1, 2, 3]
    for decoder in decoders:
        assert [decoder.open_row() for _ in rows] == rows

    def both(pieces: list[Piece]) -> list[int]:
        """Reads by both, compares, and gives the likeliest next tokens."""
        plain, fast = (decoder.forward(pieces) for decoder in decoders)
        for piece, expected, got in zip(pieces, plain, fast, strict=True):
            assert got.ids == expected.ids and got.logits_WV.shape == expected.logits_WV.shape
            assert np.allclose(got.logits_WV, expected.logits_WV, atol=TOLERANCE)
            assert decoders[0].length(piece.row) == decoders[1].length(piece.row)
        return [answer.ids[-1] if answer.ids else int(answer.logits_WV[-1].argmax()) for answer in plain]

    newest = dict(zip(rows, both([Piece(row, some_ids(9 * row, row)) for row in rows]), strict=True))
    for step in range(30):
        pieces = [Piece(row, [token], greedy=chance.random() < 0.5) for row, token in newest.items()]
        newest = dict(zip(newest, both(pieces), strict=True))
        if step in (4, 11, 18):  # cancelled, at the front of the cache
            for decoder in decoders:
                decoder.close_row(min(newest))
            del newest[min(newest)]
        if step in (6, 13, 20, 21):  # a new prompt, and a fork of a row that then rests
            source = max(newest)
            fork, opened = ({decoder.fork(source, 8) for decoder in decoders}, {d.open_row() for d in decoders})
            assert len(fork) == len(opened) == 1
            rested, _ = source, newest.pop(source)
            found = both([Piece(*fork, some_ids(5, step)), Piece(*opened, some_ids(40, step))])
            newest |= dict(zip((*fork, *opened), found, strict=True))
        if step in (10, 17):  # it goes on; guesses at its end are taken back
            length = decoders[0].length(rested)
            both([Piece(rested, some_ids(7, step), want=7, greedy=True)])
            for decoder in decoders:
                decoder.truncate(rested, length)
                assert decoder.length(rested) == length
            newest[rested] = both([Piece(rested, [3])])[0]
        if step in (12, 19):
            for decoder in decoders:
                decoder.close_row(rested)
            del newest[rested]
    assert tapes.num_recorded >= 4 and tapes.num_replayed >= 20


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_model_is_read_in_pieces_as_the_model_reads_it_whole(shape: str) -> None:
    ids, decoder = some_ids(80), GraphDecoder(model_of(shape), capture=Tapes())
    expected = whole_logits(TorchDecoder(model_of(shape)), ids)
    with new_row(decoder) as row:
        for start, stop in [(0, 70), *((place, place + 1) for place in range(70, 80))]:
            logits = decoder.forward([Piece(row, ids[start:stop], want=stop - start)])[0].logits_WV
            assert np.allclose(logits, expected[start:stop], atol=TOLERANCE)


def test_bfloat16_differs_by_its_rounding_alone() -> None:
    exact = whole_logits(TorchDecoder(model_of("qwen3")), some_ids(60))
    plain = whole_logits(TorchDecoder(model_of("qwen3", torch.bfloat16)), some_ids(60))
    fast = whole_logits(GraphDecoder(model_of("qwen3", torch.bfloat16)), some_ids(60))
    assert np.abs(fast - exact).mean() < 1.2 * np.abs(plain - exact).mean()


def test_what_was_recorded_before_the_cache_grew_is_recorded_anew() -> None:
    tapes = Tapes()
    decoder = GraphDecoder(model_of("qwen3"), 2, max_cache_bytes=1, capture=tapes)
    expected = whole_logits(TorchDecoder(model_of("qwen3")), some_ids(290))
    row = decoder.open_row()
    decoder.forward([Piece(row, some_ids(290)[:250], want=0)])
    for place in range(250, 290):  # the first cache holds 256 tokens
        answer = decoder.forward([Piece(row, [some_ids(290)[place]])])[0]
        assert np.allclose(answer.logits_WV[0], expected[place], atol=TOLERANCE)
    assert tapes.num_recorded == 2


def test_the_inputs_of_an_earlier_run_write_nothing_when_a_step_is_recorded() -> None:
    decoder = GraphDecoder(model_of("qwen3"), capture=Tapes())
    row = decoder.open_row()
    decoder.forward([Piece(row, some_ids(20))])
    decoder.forward([Piece(row, [1])])  # the step of one token runs for the first time, at position 20
    decoder.truncate(row, 20)
    decoder.forward([Piece(row, [2, 3])])
    answer = decoder.forward([Piece(row, [4])])[0]  # and is recorded now
    expected = whole_logits(TorchDecoder(model_of("qwen3")), [*some_ids(20), 2, 3, 4])
    assert np.allclose(answer.logits_WV[0], expected[-1], atol=TOLERANCE)


def test_rows_at_rest_are_moved_only_where_their_place_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[list[int], list[int]]] = []
    copy_rows = StaticCache.copy_rows

    def counted(cache: StaticCache, sources: list[int], targets: list[int], num_tokens: int) -> None:
        copied.append((sources, targets))
        copy_rows(cache, sources, targets, num_tokens)

    monkeypatch.setattr(StaticCache, "copy_rows", counted)
    decoder = GraphDecoder(model_of("qwen3"), MAX_ROWS)
    a, b, c, d = (decoder.open_row() for _ in range(4))
    decoder.forward([Piece(row, some_ids(10 * row)) for row in (a, b, c, d)])
    decoder.forward([Piece(row, [1]) for row in (c, a, b)])  # four places are computed
    decoder.close_row(b)
    decoder.forward([Piece(row, [1]) for row in (d, a, c)])
    assert copied == []
    for _ in range(2):
        decoder.forward([Piece(row, [1]) for row in (a, d)])  # two: d takes the place where b lay
    assert copied == [([3], [1])]
    decoder.forward([Piece(c, [1])])  # one: c and a change places
    assert copied[1:] == [([2, 0], [0, 2])]


def test_a_piece_too_long_for_one_step_is_read_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_decoder, "MAX_PIECE", 16)
    decoder, plain = GraphDecoder(model_of("qwen3"), 2), TorchDecoder(model_of("qwen3"), 2)
    pieces = [Piece(1, some_ids(50), want=23), Piece(2, some_ids(40, seed=1), want=20, greedy=True)]
    for one in (decoder, plain):
        assert (one.open_row(), one.open_row()) == (1, 2)
    got, expected = decoder.forward(pieces), plain.forward(pieces)
    assert np.allclose(got[0].logits_WV, expected[0].logits_WV, atol=TOLERANCE) and got[1] == expected[1]


@pytest.mark.parametrize("bad", [-1, VOCABULARY])
def test_an_id_outside_the_vocabulary_is_refused_before_it_reaches_the_device(bad: int) -> None:
    decoder = GraphDecoder(model_of("qwen3"))
    with new_row(decoder) as row:
        for ids in ([bad], [1, bad]):
            with pytest.raises(IndexError, match="from 0 to 96"):
                decoder.forward([Piece(row, ids)])
        assert decoder.length(row) == 0


def test_only_so_many_shapes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_decoder, "MAX_STEPS", 2)
    tapes = Tapes()
    decoder = GraphDecoder(model_of("qwen3"), capture=tapes)
    for length in (1, 2, 12, 2, 12, 1, 1):  # steps of 1, 8 and 16 tokens; the last four are known, but for the first 1
        with new_row(decoder) as row:
            decoder.forward([Piece(row, some_ids(length))])
    assert tapes.num_recorded == 3


@given(st.integers(1, 32), st.integers(1, 3000), st.integers(0, 4000))
def test_a_rounded_shape_holds_what_was_asked_and_wastes_less_than_half(rows: int, tokens: int, before: int) -> None:
    shape = rounded(rows, tokens, before + tokens, 32, 7008)
    assert rows <= shape.rows <= min(32, 2 * rows - 1) and before + tokens <= shape.keys <= 7008
    assert tokens <= shape.tokens < max(9, 2 * tokens) and (shape.tokens == 1) == (tokens == 1)
    assert shape.keys % 16 == 0 and shape.keys < max(257, 2 * (before + tokens))


def test_the_joined_weights_are_the_models_own() -> None:
    model = model_of("qwen2")
    before = model(torch.tensor([some_ids(9)]))
    names = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    StaticPass(model, 10)
    assert (model(torch.tensor([some_ids(9)])) == before).all()
    assert names == {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    attention = model.model.layers[0].self_attn
    assert attention.q_proj.weight.untyped_storage().data_ptr() == attention.v_proj.weight.untyped_storage().data_ptr()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pass_computes_on_the_models_device_alone_and_asks_for_no_number(shape: str) -> None:
    """Tensors without numbers: torch refuses to tell one, and to mix them with the CPU's."""
    with torch.device("meta"):
        model = Transformer(SHAPES[shape])
        cache = StaticCache(model.config, 4, 64, device="meta")
        ids_BT = torch.zeros(2, 8, dtype=torch.int64)
    for rows_B in (None, ids_BT[:, 0]):
        hidden_BTD = StaticPass(model, 80).hidden(Inputs(ids_BT, ids_BT, rows_B), cache, 48)
        assert (hidden_BTD.device.type, tuple(hidden_BTD.shape)) == ("meta", (2, 8, 48))


def test_a_gpu_gets_graphs_and_a_cpu_on_demand(monkeypatch: pytest.MonkeyPatch, folder_with_tokenizer: Path) -> None:
    monkeypatch.delenv("GLASSMILL_DECODER", raising=False)
    assert (chosen_decoder(device="cuda"), chosen_decoder(device="cuda:1"), chosen_decoder(device="mps")) == (
        "graph", "graph", "torch",
    )  # fmt: skip
    assert chosen_decoder("torch", device="cuda") == "torch"
    decoder = load_decoder(folder_with_tokenizer, 3, "graph")
    assert isinstance(decoder, GraphDecoder) and decoder.info.max_rows == 3
    assert graphs.captures_for(torch.device("cpu")) is graphs.plain_calls
    answers: list[Callable[[], np.ndarray]] = [
        lambda: whole_logits(decoder, [1, 2, 3]),
        lambda: whole_logits(load_decoder(folder_with_tokenizer, 1, "torch"), [1, 2, 3]),
    ]
    assert np.allclose(answers[0](), answers[1](), atol=TOLERANCE)


def test_where_a_model_answers_is_as_given_or_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSMILL_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (chosen_device(), chosen_device("cuda"), chosen_device("cuda:1")) == ("cpu", "cuda", "cuda:1")
    with pytest.raises(UserError, match=r"device = cuda:2: torch .* finds none on this machine; take cpu"):
        chosen_device("cuda:2")
    monkeypatch.setenv("GLASSMILL_DEVICE", "cuda:1")
    assert (chosen_device(), chosen_device("cpu")) == ("cuda:1", "cpu")
    monkeypatch.setenv("GLASSMILL_DEVICE", "gpu")
    with pytest.raises(UserError, match="GLASSMILL_DEVICE = gpu: there is cpu, cuda"):
        chosen_device()


def test_a_gpu_that_is_not_here_is_one_clear_line(folder_with_tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="device = cuda: torch .* finds none"):
        Model.load(folder_with_tokenizer, device="cuda")


@pytest.mark.slow
def test_the_bench_for_gpus_runs_dry_and_finds_the_same_tokens() -> None:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", "bench/gpu_inference.sh", "--dry"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tokens, *sizes = map(json.loads, done.stdout.splitlines()[1:])
    assert (tokens["equal"] + tokens["close"], tokens["wrong"], tokens["sound"]) == (12, 0, True)
    assert [size["check"] for size in sizes] == ["135M", "360M", "1.5B"]
    for size in sizes:
        assert list(size["tokens_per_s"]) == ["prefill_16", "rows_1", "rows_8", "rows_32"]
        assert all(size["tokens_per_s"].values())
