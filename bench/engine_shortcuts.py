"""What the engine spares a model: `python bench/engine_shortcuts.py MODEL [MODEL ...]`.

The first token behind a system message of 1,000 tokens, cold and warm; then tokens a second with and without guesses,
on a request that quotes its prompt and on an ordinary one, greedy and drawn. In turn, medians of 3 pairs, and whether
the texts are the same. GLASSMILL_DECODER chooses the decoder.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from machine import machine

from glassmill.infer.engine import Engine
from glassmill.infer.generate import Model
from glassmill.infer.sampling import SamplingParams

CODE = '''def area(width, height):
    """The area of a rectangle."""
    if width < 0 or height < 0:
        raise ValueError("a side is negative")
    return width * height


def volume(width, height, depth):
    """The volume of a box."""
    if width < 0 or height < 0 or depth < 0:
        raise ValueError("a side is negative")
    return width * height * depth
'''
QUESTIONS = {
    "quote": f"Repeat this program exactly, twice, without comments:\n\n```python\n{CODE}```",
    "ordinary": "Tell me a story about a lighthouse keeper and a whale.",
}


def first_token_s(engine: Engine, prompt: list[int]) -> float:
    start = time.perf_counter()
    engine.submit(prompt, SamplingParams(max_tokens=1, temperature=0.0)).reply()
    return time.perf_counter() - start


def prefixes(model: Model) -> None:
    text = "You answer questions about the town. " + "Every house in it has a number and a name. " * 200
    question = model.prompt_ids("What is the name of the third house?")
    system = model.prompt_ids(text)[: min(1000, model.engine.max_length - len(question) - 20)]
    pairs = []
    for number in range(3):
        changed = [*model.prompt_ids(f"{number}"), *system]
        cold, warm = (first_token_s(model.engine, [*changed, *question, asked]) for asked in (1, 2))
        pairs.append((cold, warm))
    cold, warm = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(warm / cold for cold, warm in pairs)
    print(f"first token behind {len(system)}: cold {cold * 1e3:.0f} ms, warm {warm * 1e3:.0f} ms: {ratio:.3f}")


def guesses(model: Model, plain: Engine) -> None:
    for name, question in QUESTIONS.items():
        for temperature in (0.0, 0.7):
            params = SamplingParams(max_tokens=160, temperature=temperature, seed=1, ignore_eos=True)
            prompt, rates, same = model.chat_ids(question)[-(model.engine.max_length - 100) :], [], True
            before = model.engine.stats()
            for _ in range(3):
                pair, texts = [], []
                for engine in (plain, model.engine):
                    first_token_s(engine, prompt)  # the prompt is known then
                    start = time.perf_counter()
                    reply = engine.submit(prompt, params).reply()
                    pair.append(reply.num_completion_tokens / (time.perf_counter() - start))
                    texts.append(reply.text)
                rates.append(pair)
                same &= texts[0] == texts[1]
            after = model.engine.stats()
            drafted, right = (getattr(after, f) - getattr(before, f) for f in ("drafted_tokens", "accepted_tokens"))
            ratio = statistics.median(guessing / straight for straight, guessing in rates)
            straight, guessing = (statistics.median(rate) for rate in zip(*rates, strict=True))
            print(
                f"{name} at {temperature}: {straight:.1f} -> {guessing:.1f} tok/s: {ratio:.2f}x; "
                f"{right} of {drafted} guesses right; {'same text' if same else 'ANOTHER TEXT'}"
            )


def main(folder: Path) -> None:
    model, other = (Model.load(folder, max_batch=4, speculate=speculate) for speculate in (True, False))
    name, million = type(model.decoder).__name__, model.num_parameters / 1e6
    print(f"{model.name} {million:.1f} M, {name}; {machine()}")
    prefixes(model)
    guesses(model, other.engine)
    other.close()
    model.close()


if __name__ == "__main__":
    for word in sys.argv[1:]:
        main(Path(word))
