"""Tokens per second of a model folder: the native decoder, torch's, llama.cpp, transformers and ctranslate2, in turn.

    npm install --prefix PLACE --ignore-scripts node-llama-cpp@3.22.1      # llama.cpp, built, in a package of npm
    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36      # unpack: vendor/llama.cpp has its headers
    python bench/inference_vs_peers.py models/smollm2 --llama PLACE/node_modules --headers UNPACKED/vendor/llama.cpp

Same weights in bfloat16, same tokens, all cores: a prompt of 512, then decode of 1, 8 and 32 rows. Every engine is a
process of its own; a round runs each once, with the memory's read speed before; the table has medians over rounds and
ratios to llama.cpp. `--random FOLDER` first writes a random model of SmolLM2-360M's shape with the tokenizer of the
given one; a folder that `glassmill quantize` wrote is compared with `--to q8_0` or the like. ctranslate2 (float32
weights to int8) and transformers run where they are installed. `--busy` is for a machine that has other work: one
thread each, and its time on the processor instead of the clock's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine

BATCHES = (1, 8, 32)
PROMPT, BEFORE, STEPS, REPEATS = 512, 32, {1: 24, 8: 8, 32: 8}, 5
COLUMNS = ("prefill 512", *(f"{batch} rows" for batch in BATCHES))
HERE = Path(__file__).parent
BUSY = "--busy" in sys.argv
clock = time.process_time if BUSY else time.perf_counter


def token_ids(count: int) -> list[int]:
    return [100 + i * 37 % 1000 for i in range(count)]


def median_s(work: Callable[[], float]) -> float:
    """Median of what `work` says it took, after one round to warm up."""
    return statistics.median([work() for _ in range(REPEATS + 1)][1:])


def of_decoder(folder: Path, name: str) -> list[float]:
    """Ours: prefill, then decode, as the engine asks for it."""
    import torch

    from glassmill.infer.decoder import Decoder, Piece
    from glassmill.infer.native_decoder import NativeDecoder
    from glassmill.infer.torch_decoder import load_torch_decoder

    if BUSY:
        torch.set_num_threads(1)
    if name == "native":
        decoder: Decoder = NativeDecoder(folder, max(BATCHES), "bfloat16", threads=int(BUSY))
    else:
        decoder = load_torch_decoder(folder, max(BATCHES), dtype=torch.bfloat16)

    def prefill() -> float:
        row, begin = decoder.open_row(), clock()
        decoder.forward([Piece(row, token_ids(PROMPT), greedy=True)])
        taken = clock() - begin
        decoder.close_row(row)
        return taken

    def decode(batch: int) -> float:
        rows = [decoder.open_row() for _ in range(batch)]
        decoder.forward([Piece(row, token_ids(BEFORE), want=0) for row in rows])
        begin, best = clock(), [1] * batch
        for _ in range(STEPS[batch]):
            pieces = [Piece(row, [one], greedy=True) for row, one in zip(rows, best, strict=True)]
            best = [answer.ids[0] for answer in decoder.forward(pieces)]
        taken = clock() - begin
        for row in rows:
            decoder.close_row(row)
        return taken

    return [PROMPT / median_s(prefill), *(b * STEPS[b] / median_s(lambda b=b: decode(b)) for b in BATCHES)]  # type: ignore[misc]


def of_transformers(folder: Path) -> list[float]:
    import torch
    from transformers import AutoModelForCausalLM

    if BUSY:
        torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()

    @torch.inference_mode()
    def prefill() -> float:
        begin = clock()
        model(torch.tensor([token_ids(PROMPT)]), logits_to_keep=1)
        return clock() - begin

    @torch.inference_mode()
    def decode(batch: int) -> float:
        state = model(torch.tensor([token_ids(BEFORE)] * batch), use_cache=True, logits_to_keep=1)
        begin, ids = clock(), torch.ones(batch, 1, dtype=torch.int64)
        for _ in range(STEPS[batch]):
            state = model(ids, past_key_values=state.past_key_values, use_cache=True)
            ids = state.logits[:, -1:].argmax(-1)
        return clock() - begin

    return [PROMPT / median_s(prefill), *(b * STEPS[b] / median_s(lambda b=b: decode(b)) for b in BATCHES)]  # type: ignore[misc]


def of_ctranslate2(folder: Path) -> list[float]:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    with tempfile.TemporaryDirectory() as place:
        TransformersConverter(str(folder)).convert(f"{place}/model", quantization="int8")
        model = ctranslate2.Generator(f"{place}/model", compute_type="int8", intra_threads=int(BUSY))
        names = json.loads((Path(place) / "model" / "vocabulary.json").read_text())

        def generate(batch: int, prompt: int, new: int) -> float:
            texts = [[names[i] for i in token_ids(prompt)]] * batch
            begin = clock()
            model.generate_batch(
                texts, max_length=new, min_length=new, include_prompt_in_result=False, max_batch_size=batch
            )
            return clock() - begin

        def decode(batch: int) -> float:
            return generate(batch, BEFORE, STEPS[batch] + 1) - generate(batch, BEFORE, 1)

        return [
            PROMPT / median_s(lambda: generate(1, PROMPT, 1)),
            *(b * STEPS[b] / median_s(lambda b=b: decode(b)) for b in BATCHES),  # type: ignore[misc]
        ]


def write_random(folder: Path, like: Path) -> None:
    """A model of SmolLM2-360M's shape; the tokenizer is that of `like`."""
    import torch

    from glassmill.infer.folder import save_folder
    from glassmill.model.config import ModelConfig
    from glassmill.model.initial import initialize
    from glassmill.model.transformer import Transformer
    from glassmill.tokens.tokenizer import Tokenizer

    model = Transformer(ModelConfig(49152, 960, 32, 15, 5, 64, 2560, 2048, 100_000.0, 1e-5, qk_norm=False))
    initialize(model, seed=0)
    save_folder(folder, model.to(torch.bfloat16), Tokenizer.load(like), {})


def compiled(source: str, place: Path, *options: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
    program = place / Path(source).stem
    command = [compiler, "-O3", "-march=native", str(HERE / source), "-o", str(program), "-pthread", *options]
    subprocess.run(command, check=True)
    return program


def engines(given: argparse.Namespace, place: Path) -> dict[str, list[str]]:
    """Name -> command that prints the four figures."""
    this = [sys.executable, __file__, str(given.model), *(["--busy"] if BUSY else []), "--one"]
    found = {"native": [*this, "native"], "torch": [*this, "torch"]}
    if given.llama:
        (library,) = given.llama.resolve().glob("@node-llama-cpp/linux-x64/bins/linux-x64/libllama.*so*")
        headers = [f"-I{given.headers / folder}" for folder in ("include", "ggml/include")]
        others = [str(one) for one in library.parent.glob("libggml[.-]*so*") if "cpu" not in one.name]
        program = compiled("llama_speed.c", place, *headers, str(library), *others, f"-Wl,-rpath,{library.parent}")
        from glassmill.export.gguf_file import export_gguf
        from glassmill.run.executors import cores

        gguf = export_gguf(given.model, place / "model.gguf", given.to)
        found["llama.cpp"] = [str(program), str(library.parent), str(gguf), str(0 if BUSY else cores())]
    for name in ("transformers", "ctranslate2"):
        try:
            __import__(name)
        except ImportError:
            continue
        found[name] = [*this, name]
    return {name: command for name, command in found.items() if not given.only or name in given.only}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama", type=Path, help="the node_modules folder with node-llama-cpp")
    parser.add_argument("--headers", type=Path, help="the folder vendor/llama.cpp with its headers")
    parser.add_argument("--to", default="bf16", help="llama.cpp's type of weights, for a folder of blocks the same")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="engines to run")
    parser.add_argument("--random", type=Path, help="write a random 360M model there, and measure that")
    parser.add_argument("--busy", action="store_true", help="one thread, by its time on the processor")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one = {"transformers": of_transformers, "ctranslate2": of_ctranslate2}.get(given.one)
        print(*(f"{speed:.1f}" for speed in (one(given.model) if one else of_decoder(given.model, given.one))))
        return
    if given.random:
        if not given.random.exists():
            write_random(given.random, given.model)
        given.model = given.random
    with tempfile.TemporaryDirectory() as folder:
        commands = engines(given, Path(folder))
        reader = compiled("read_speed.c", Path(folder))
        speeds: dict[str, list[list[float]]] = {name: [] for name in commands}
        read: list[float] = []
        print(f"{given.model}; {machine()}")
        for number in range(given.rounds):
            for name, command in commands.items():
                read.append(float(subprocess.check_output([str(reader), "2"], text=True)))
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                speeds[name].append([float(word) for word in done.stdout.split()[-4:]])
                print(f"  {number + 1} {name:12} {speeds[name][-1]} at {read[-1]} GB/s", flush=True)
    report(speeds, read, sum(file.stat().st_size for file in given.model.glob("*.safetensors")))


def report(speeds: dict[str, list[list[float]]], read: list[float], weight_bytes: int) -> None:
    print(f"two threads read {statistics.median(read):.1f} GB/s (median), {max(read):.1f} at best")
    print(f"{'':12} " + " ".join(f"{column:>20}" for column in COLUMNS) + "   share of read speed in one row")
    medians = {name: np.median(found, axis=0) for name, found in speeds.items()}
    for name, found in medians.items():
        peer = medians.get("llama.cpp", found)
        words = [f"{speed:10.1f} ({speed / other:5.2f}x)" for speed, other in zip(found, peer, strict=True)]
        print(f"{name:12} " + " ".join(f"{word:>20}" for word in words), end="")
        print(f"   {found[1] * weight_bytes / 1e9 / statistics.median(read):.0%}")


if __name__ == "__main__":
    main()
