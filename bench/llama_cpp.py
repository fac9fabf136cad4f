"""Does an exported model say the same in the real llama.cpp? Ids of a thousand texts, and greedy continuations in f32.

    npm install --prefix PLACE --ignore-scripts node-llama-cpp@3.22.1      # llama.cpp, built, in a package of npm
    python bench/llama_cpp.py runs/sft/demo-77ab01 --modules PLACE/node_modules

Prints how many differ, and for texts that part how far apart (in logits) ours holds the two tokens: at a near-tie they
may, because llama.cpp's KV cache is f16.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from glassmill.export.gguf_file import export_gguf
from glassmill.infer.folder import load_folder
from glassmill.model.transformer import Transformer

CHARACTERS = "abcXYZ éüß水車пр 0123456789 \n\r\t.,;:!?'\"-_/()[]{}<>|\u00a0\u2003\u0301\u200d😀Ⅻ½²"
NEW_TOKENS = 40
NEAR_TIE = 0.02
"""Logits; f16 keeps 11 bits of keys and values."""
SCRIPT = """
import fs from "fs";
const {getLlama, LlamaLogLevel} = await import(process.argv[3]);
const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error, skipDownload: true});
const model = await llama.loadModel({modelPath: job.path, gpuLayers: 0});
const ids = job.texts.map(text => Array.from(model.tokenize(text, false)));
const context = await model.createContext({contextSize: job.context, threads: 1});
const sequence = context.getSequence();
const greedy = [];
for (const prompt of job.prompts) {
  await sequence.clearHistory();
  const made = [];
  for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
    made.push(token);
    if (made.length >= job.count) break;
  }
  greedy.push(made);
}
fs.writeFileSync(job.out, JSON.stringify({ids, greedy}));
process.exit(0);
"""


def some_texts(count: int, source: list[str], seed: int = 1) -> list[str]:
    """Words of `source` in any order, and characters in any order."""
    chance = random.Random(seed)
    texts = []
    for number in range(count):
        if number % 2:
            texts.append(" ".join(chance.choices(source, k=chance.randint(1, 12))))
        else:
            texts.append("".join(chance.choice(CHARACTERS) for _ in range(chance.randint(0, 60))))
    return texts


@torch.inference_mode()
def gap_where_they_part(model: Transformer, prompt: list[int], mine: list[int], its: list[int]) -> float:
    """By how much our logits prefer our token where the two greedy texts first differ."""
    same = next(i for i, (a, b) in enumerate(zip(mine, its, strict=False)) if a != b)
    logits_V = model(torch.tensor([prompt + mine[:same]]))[0, -1]
    return float(logits_V[mine[same]] - logits_V[its[same]])


def main() -> None:
    """Export, run both, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--modules", type=Path, required=True, help="the node_modules folder with node-llama-cpp")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--to", default="f32", help="the weights' type; for blocks, give a folder quantised to them")
    given = parser.parse_args()
    loaded = load_folder(given.model)
    tokenizer, context = loaded.tokenizer, min(256, loaded.config.context_length)
    texts = some_texts(given.count, (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
    ids = [tokenizer.encode(text).tolist() for text in texts]
    prompts = [one[:20] for one in ids if one][: given.prompts]
    greedy = []
    with torch.inference_mode():
        for prompt in prompts:
            text = list(prompt)
            while len(text) - len(prompt) < min(NEW_TOKENS, context - 20) and text[-1] not in tokenizer.stop_ids:
                text.append(int(loaded.model(torch.tensor([text]))[0, -1].argmax()))
            greedy.append(text[len(prompt) :])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        path = export_gguf(given.model, place / "model.gguf", given.to)
        job = {"path": str(path), "texts": texts, "prompts": prompts, "context": context, "count": NEW_TOKENS}
        (place / "job.json").write_text(json.dumps({**job, "out": str(place / "out.json")}), encoding="utf-8")
        (place / "run.mjs").write_text(SCRIPT, encoding="utf-8")
        module = (given.modules / "node-llama-cpp" / "dist" / "index.js").resolve().as_uri()
        subprocess.run(["node", str(place / "run.mjs"), str(place / "job.json"), module], check=True)
        theirs = json.loads((place / "out.json").read_text(encoding="utf-8"))
    others = [text for text, mine, its in zip(texts, ids, theirs["ids"], strict=True) if mine != its]
    gaps = [
        gap_where_they_part(loaded.model, prompt, mine, its)
        for prompt, mine, its in zip(prompts, greedy, theirs["greedy"], strict=True)
        if mine[: len(its)] != its[: len(mine)]
    ]
    print(f"ids differ for {len(others)} of {len(texts)} texts, greedy text for {len(gaps)} of {len(prompts)} prompts")
    print("gaps where greedy texts part: " + (", ".join(f"{gap:.4f}" for gap in gaps) or "none"))
    for text in others[:5]:
        print(ascii(text)[:120], file=sys.stderr)
    sys.exit(1 if others or any(gap > NEAR_TIE for gap in gaps) else 0)


if __name__ == "__main__":
    main()
