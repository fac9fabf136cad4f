"""The contract of a decoder, for every decoder: whatever joins, leaves, grows or is cut back, a row is its own text.

To put a decoder to the test, add it to `DECODERS`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from glassmill.errors import ContextOverflow
from glassmill.infer.decoder import Answer, Decoder, Piece, new_row, whole_logits
from glassmill.infer.graph_decoder import SPARE, GraphDecoder
from glassmill.infer.native_decoder import NativeDecoder
from glassmill.infer.torch_decoder import TorchDecoder, load_torch_decoder
from glassmill.model.cache import KVCache
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from tests.infer.numpy_decoder import NumpyDecoder

CONTEXT, MAX_ROWS = 300, 5
SHAPES = {
    "qwen3": ModelConfig(97, 48, 2, 4, 2, 16, 80, CONTEXT),
    "llama": ModelConfig(97, 48, 2, 6, 3, 8, 80, CONTEXT, rms_norm_eps=1e-5, qk_norm=False, tie_embeddings=False),
}
DECODERS: dict[str, Callable[[Path], Decoder]] = {
    "torch": lambda folder: TorchDecoder(transformer(folder), MAX_ROWS),
    "numpy": lambda folder: NumpyDecoder(folder, MAX_ROWS),
    "native": lambda folder: NativeDecoder(folder, MAX_ROWS),
    "graph": lambda folder: GraphDecoder(transformer(folder), MAX_ROWS),
}


def transformer(folder: Path) -> Transformer:
    model = Transformer(ModelConfig.from_hf(json.loads((folder / "config.json").read_text())))
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return model.eval()


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in which every number matters."""
    path, generator = tmp_path_factory.mktemp("model"), torch.Generator().manual_seed(0)
    config = SHAPES[request.param]
    weights = {}
    for name, weight in Transformer(config).state_dict().items():
        noise = torch.randn(weight.shape, generator=generator) * 0.15
        weights[name] = noise if weight.ndim == 2 else 1 + noise
    save_file(weights, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config.to_hf()))
    return path


@pytest.fixture(scope="module", params=DECODERS)
def make(request: pytest.FixtureRequest, folder: Path) -> Callable[[], Decoder]:
    return lambda: DECODERS[request.param](folder)


@pytest.fixture(scope="module")
def expected(folder: Path) -> Callable[[list[int]], np.ndarray]:
    """Logits of a text at every position, from one pass without a cache."""
    model = transformer(folder)

    def logits(ids: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.tensor([ids]))[0].numpy()

    return logits


def some_ids(number: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(97), k=number)


def is_close(answer: Answer, logits_TV: np.ndarray) -> bool:
    return bool(np.allclose(answer.logits_WV, logits_TV, atol=2e-4))


@settings(max_examples=5, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_rows_that_join_leave_and_grow_in_any_order_are_what_each_is_alone(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray], chance: random.Random
) -> None:
    decoder, texts = make(), dict[int, list[int]]()
    for _ in range(40):
        action = chance.choice(["open", "close", "truncate", "fork", "read", "read", "read", "read"])
        row = chance.choice(list(texts)) if texts else None
        if action == "open" and len(texts) < MAX_ROWS:
            texts[decoder.open_row()] = []
        elif action == "close" and row is not None:
            decoder.close_row(row)
            del texts[row]
        elif action == "truncate" and row is not None:
            texts[row] = texts[row][: chance.randint(0, len(texts[row]))]
            decoder.truncate(row, len(texts[row]))
        elif action == "fork" and row is not None and len(texts) < MAX_ROWS:
            length = chance.randint(0, len(texts[row]))
            texts[decoder.fork(row, length)] = texts[row][:length]
        elif action == "read":
            pieces = []
            for chosen in chance.sample(list(texts), chance.randint(0, len(texts))):
                ids = chance.choices(range(97), k=chance.choice([1, 1, 1, 2, 9]))
                pieces.append(Piece(chosen, ids, chance.randint(0, len(ids)), greedy=chance.random() < 0.3))
                texts[chosen] = texts[chosen] + ids
            for piece, answer in zip(pieces, decoder.forward(pieces), strict=True):
                logits_WV = expected(texts[piece.row])[len(texts[piece.row]) - piece.want :]
                assert len(answer.ids or answer.logits_WV) == piece.want
                if piece.greedy:
                    assert list(answer.ids) == logits_WV.argmax(-1).tolist()
                elif piece.want:
                    assert is_close(answer, logits_WV)
        assert {row: decoder.length(row) for row in texts} == {row: len(ids) for row, ids in texts.items()}


def test_a_prompt_cut_at_any_place_is_the_prompt_as_a_whole(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    decoder, ids = make(), some_ids(20)
    logits_TV = expected(ids)
    for cut in range(1, len(ids)):
        with new_row(decoder) as row, new_row(decoder) as other:
            decoder.forward([Piece(other, ids[:cut], want=0)])
            first = decoder.forward([Piece(row, ids[:cut], want=cut)])[0]
            second = decoder.forward([Piece(row, ids[cut:], want=len(ids) - cut)])[0]
            assert is_close(first, logits_TV[:cut]) and is_close(second, logits_TV[cut:])


def test_guesses_that_are_taken_back_leave_no_trace(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    decoder, ids, guesses = make(), some_ids(30), some_ids(8, seed=1)
    with new_row(decoder) as row:
        decoder.forward([Piece(row, ids[:20], want=0)])
        wrong = decoder.forward([Piece(row, guesses, want=len(guesses), greedy=True)])[0].ids
        assert list(wrong) == expected(ids[:20] + guesses)[20:].argmax(-1).tolist()
        decoder.truncate(row, 20)
        right = decoder.forward([Piece(row, ids[20:], want=10)])[0]
        assert is_close(right, expected(ids)[20:])


def test_a_fork_and_its_origin_go_their_own_ways(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    decoder, ids = make(), some_ids(30)
    row = decoder.open_row()
    decoder.forward([Piece(row, ids, want=0)])
    fork = decoder.fork(row, 12)
    assert (decoder.length(row), decoder.length(fork)) == (30, 12)
    of_fork, of_row = decoder.forward([Piece(fork, [3, 4]), Piece(row, [5])])
    assert is_close(of_fork, expected([*ids[:12], 3, 4])[-1:]) and is_close(of_row, expected([*ids, 5])[-1:])
    decoder.close_row(row)
    assert is_close(decoder.forward([Piece(fork, [6])])[0], expected([*ids[:12], 3, 4, 6])[-1:])


def test_a_row_that_would_exceed_the_context_is_refused_and_no_row_grows(make: Callable[[], Decoder]) -> None:
    decoder = make()
    full, other = decoder.open_row(), decoder.open_row()
    decoder.forward([Piece(full, some_ids(CONTEXT - 1), want=0)])
    decoder.forward([Piece(full, [1])])  # the last place is usable
    with pytest.raises(ContextOverflow, match=f"{CONTEXT} \\+ 1 tokens exceed the context of {CONTEXT}"):
        decoder.forward([Piece(other, [1, 2]), Piece(full, [1])])
    assert (decoder.length(full), decoder.length(other)) == (CONTEXT, 0)


def test_a_row_at_the_end_of_its_context_beside_a_long_piece_is_read_well(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    decoder, ids, short = make(), some_ids(CONTEXT), some_ids(100, seed=2)
    full, other = decoder.open_row(), decoder.open_row()
    decoder.forward([Piece(full, ids[:-2], want=0)])
    answers = decoder.forward([Piece(other, short, want=1), Piece(full, ids[-2:], want=2)])
    assert is_close(answers[0], expected(short)[-1:]) and is_close(answers[1], expected(ids)[-2:])


def test_a_closed_row_is_gone_and_its_number_with_it(make: Callable[[], Decoder]) -> None:
    decoder = make()
    row = decoder.open_row()
    decoder.forward([Piece(row, [1, 2])])
    decoder.close_row(row)
    uses: list[Callable[[], object]] = [
        lambda: decoder.forward([Piece(row, [1])]),
        lambda: decoder.length(row),
        lambda: decoder.truncate(row, 0),
        lambda: decoder.fork(row, 0),
        lambda: decoder.close_row(row),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=f"row {row} is not open"):
            use()
    assert decoder.open_row() != row


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([Piece(1, [1]), Piece(1, [2])], "only one piece"),
        ([Piece(1, [])], "want = 1 of a piece of 0"),
        ([Piece(1, [], want=0)], "want = 0 of a piece of 0"),
        ([Piece(1, [1], want=2)], "want = 2 of a piece of 1"),
    ],
)
def test_a_piece_that_makes_no_sense_is_refused(make: Callable[[], Decoder], pieces: list[Piece], message: str) -> None:
    decoder = make()
    row = decoder.open_row()
    with pytest.raises(ValueError, match=message):
        decoder.forward([Piece(row, piece.ids, piece.want) for piece in pieces])
    with pytest.raises(ValueError, match=f"row {row} has 0 tokens, not 1"):
        decoder.truncate(row, 1)
    assert decoder.length(row) == 0 and decoder.forward([]) == []


def test_no_more_rows_than_stated_are_open_at_once(make: Callable[[], Decoder]) -> None:
    decoder = make()
    rows = [decoder.open_row() for _ in range(decoder.info.max_rows)]
    for one_more in (decoder.open_row, lambda: decoder.fork(rows[0], 0)):
        with pytest.raises(ValueError, match=f"all {MAX_ROWS} rows are open"):
            one_more()
    decoder.close_row(rows[2])
    assert decoder.length(decoder.open_row()) == 0
    assert decoder.fits([CONTEXT] * MAX_ROWS) and not decoder.fits([1] * (MAX_ROWS + 1))


def test_the_memory_stated_for_a_token_is_what_the_cache_takes(make: Callable[[], Decoder], folder: Path) -> None:
    decoder, config = make(), ModelConfig.from_hf(json.loads((folder / "config.json").read_text()))
    stated = decoder.info.token_bytes
    in_pages = isinstance(decoder, NativeDecoder)  # of whole blocks of channels, and of 64 tokens
    channels = -(-config.head_dim // 16) * 16 if in_pages else config.head_dim
    keys_and_values = config.head_dim + channels
    assert stated == config.num_layers * config.num_kv_heads * keys_and_values * 4  # float32
    for _ in range(MAX_ROWS):
        decoder.forward([Piece(decoder.open_row(), some_ids(CONTEXT), want=0)])
    spare = SPARE if isinstance(decoder, GraphDecoder) else 0
    assert decoder.cache_bytes == MAX_ROWS * (-(-CONTEXT // 64) * 64 if in_pages else CONTEXT + spare) * stated


def test_losses_are_those_of_the_whole_window(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    windows_BT = np.array([some_ids(200, seed) for seed in (3, 4)])
    losses_BT = make().token_losses(windows_BT)
    assert losses_BT.shape == (2, 199) and losses_BT.dtype == np.float32
    for losses_T, ids_T in zip(losses_BT, windows_BT, strict=True):
        logprobs_TV = torch.tensor(expected(ids_T.tolist())).log_softmax(-1).numpy()
        assert np.allclose(losses_T, -logprobs_TV[np.arange(199), ids_T[1:]], atol=1e-4)


def test_a_decoder_gives_whole_texts_back_as_one_array(
    make: Callable[[], Decoder], expected: Callable[[list[int]], np.ndarray]
) -> None:
    decoder = make()
    for _ in range(2 * MAX_ROWS):  # and leaves no row open
        logits_TV = whole_logits(decoder, some_ids(7))
    assert logits_TV.dtype == np.float32 and np.allclose(logits_TV, expected(some_ids(7)), atol=2e-4)


# --- the torch decoder alone ------------------------------------------------------------------------------------------


def test_memory_for_the_cache_is_counted_as_the_rectangle_that_it_is(folder: Path) -> None:
    model = transformer(folder)
    token_bytes = TorchDecoder(model).info.token_bytes
    decoder = TorchDecoder(model, max_rows=8, max_cache_bytes=100 * token_bytes)
    assert decoder.fits([25, 1, 1, 1]) and not decoder.fits([26, 1, 1, 1])


def test_rows_are_copied_only_where_a_gap_must_close_and_then_the_shorter_side(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    copy_rows = KVCache.copy_rows

    def counted(cache: KVCache, sources: list[int], targets: list[int], num_tokens: int) -> None:
        copied.append(num_tokens * len(sources))
        copy_rows(cache, sources, targets, num_tokens)

    monkeypatch.setattr(KVCache, "copy_rows", counted)
    decoder = TorchDecoder(transformer(folder), MAX_ROWS)
    a, b, c, d = (decoder.open_row() for _ in range(4))
    decoder.forward([Piece(row, [1] * length) for row, length in ((a, 10), (b, 20), (c, 30), (d, 40))])
    decoder.close_row(b)
    e = decoder.open_row()
    decoder.forward([Piece(e, [1] * 5)])
    decoder.forward([Piece(row, [1]) for row in (d, e, c, a)])  # e lies where b lay
    decoder.close_row(a)
    decoder.forward([Piece(row, [1]) for row in (c, d, e)])
    assert copied == []
    decoder.close_row(c)
    decoder.forward([Piece(row, [1]) for row in (d, e)])
    assert copied == [decoder.length(e) - 1]


def test_a_pass_that_fails_leaves_every_row_as_long_as_it_was(folder: Path) -> None:
    decoder = TorchDecoder(transformer(folder), MAX_ROWS)
    row, other = decoder.open_row(), decoder.open_row()
    decoder.forward([Piece(row, [1, 2, 3]), Piece(other, [4])])
    before = decoder.forward([Piece(row, [7])])[0]
    decoder.truncate(row, 3)
    with pytest.raises(IndexError):
        decoder.forward([Piece(other, [5]), Piece(row, [6, 999])])
    assert (decoder.length(row), decoder.length(other)) == (3, 1)
    assert is_close(decoder.forward([Piece(row, [7])])[0], before.logits_WV)


def test_bfloat16_weights_make_a_cache_of_half_the_size(folder: Path) -> None:
    wide, narrow = TorchDecoder(transformer(folder)), TorchDecoder(transformer(folder).bfloat16())
    assert narrow.info.token_bytes * 2 == wide.info.token_bytes
    assert whole_logits(narrow, [1, 2]).dtype == np.float32


def test_a_shorter_context_than_the_models_can_be_asked_for(folder: Path) -> None:
    decoder = TorchDecoder(transformer(folder), max_length=8)
    assert decoder.info.context_length == 8
    with pytest.raises(ContextOverflow):
        whole_logits(decoder, [1] * 9)


# --- no tensor library on this side of the protocol -------------------------------------------------------------------

WITHOUT_TORCH = """
import sys
import glassmill.infer.batch, glassmill.infer.engine, glassmill.infer.generate, glassmill.train.samples
import glassmill.evals.bits_per_byte, glassmill.evals.eval, glassmill.serve.api
from tests.infer.numpy_decoder import NumpyDecoder
from glassmill.infer.generate import Model
model = Model.load(sys.argv[1], decoder=NumpyDecoder)
print(model.complete([1, 2, 3], max_tokens=8, temperature=0.0, ignore_eos=True).num_completion_tokens)
model.close()
assert "torch" not in sys.modules
"""


def test_another_decoder_runs_where_torch_was_never_imported(folder_with_tokenizer: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(folder_with_tokenizer)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "8"), done.stderr


def test_a_folder_is_loaded_for_as_many_rows_as_asked(folder_with_tokenizer: Path) -> None:
    assert load_torch_decoder(folder_with_tokenizer, 7).info.max_rows == 7
