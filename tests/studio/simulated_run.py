"""A line that only pretends to work: a runs folder with the files and events of a real one, written over time.

For the studio's tests and for looking at the page while changing it:

    python tests/studio/simulated_run.py RUNS_FOLDER --seconds 120
    glassmill studio --runs RUNS_FOLDER

The tokenizer is real, trained on the pretended documents. So is the model, but its weights are random: it babbles.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
STAGES = ("miniweb", "corpus", "tokenizer", "tokens", "train", "sft", "eval")
SHARES = {"miniweb": 0.06, "corpus": 0.24, "tokenizer": 0.08, "tokens": 0.04, "train": 0.34, "sft": 0.16, "eval": 0.08}
PEOPLE = (
    "Ada Thorn",
    "Wim Calder",
    "Bea Larkin",
    "Otto Fenn",
    "Nell Ashby",
    "Jonas Reed",
    "Mara Quill",
    "Silas Penrose",
)
TRADES = ("baker", "clockmaker", "ferryman", "printer", "beekeeper", "tailor", "blacksmith", "librarian")
STREETS = ("Mill Lane", "Ferry Road", "Chapel Hill", "Old Market", "Willow Bank")


class Drop(NamedTuple):
    """A rule, the share of all pages that it takes, and one page that breaks it."""

    step: str
    rule: str
    share: float
    value: float
    bound: float
    host: str
    text: str


DROPS = (
    Drop(
        "url", "url/blocked_host", 0.05, 1, 0, "lucky-spins.example", "Spin now! 200 free chips for every new player."
    ),
    Drop("url", "url/banned_subword", 0.02, 1, 0, "casino-river.example", "Big wins on every table tonight."),
    Drop("url", "url/soft_words", 0.02, 2, 2, "cheap-pills-bonus.example", "Best bonus, best pills, best price."),
    Drop("extract", "extract/empty", 0.03, 0, 1, "cookie-wall.example", ""),
    Drop(
        "language",
        "language/not_wanted",
        0.09,
        0.02,
        0.65,
        "mairie.example",
        "Le moulin ouvre ses portes à huit heures.",
    ),
    Drop(
        "language",
        "language/low_score",
        0.02,
        0.41,
        0.65,
        "mixed.example",
        "Guten Tag and welcome to our kleine Stadt.",
    ),
    Drop("gopher", "gopher/duplicate_lines", 0.04, 0.71, 0.3, "listing.example", "Buy now\nBuy now\nBread 3\nBuy now"),
    Drop(
        "gopher",
        "gopher/top_2_gram",
        0.03,
        0.34,
        0.2,
        "nonsense.example",
        "mill wheel mill wheel mill wheel mill wheel",
    ),
    Drop(
        "gopher", "gopher/too_few_words", 0.06, 12, 50, "menu.example", "Home | News | About | Contact | Login | Search"
    ),
    Drop(
        "gopher",
        "gopher/few_stop_words",
        0.04,
        1,
        2,
        "tags.example",
        "bread flour oven salt yeast loaf crust crumb rye",
    ),
    Drop("gopher", "gopher/bullet_lines", 0.02, 0.96, 0.9, "list.example", "- one\n- two\n- three\n- four"),
    Drop("c4", "c4/curly_brace", 0.02, 1, 0, "dev.example", "function mill() { return wheel; }"),
    Drop("c4", "c4/too_few_sentences", 0.03, 2, 5, "short.example", "The mill is closed today. Come again tomorrow."),
    Drop("fineweb", "fineweb/few_punctuated_lines", 0.03, 0.05, 0.12, "forum.example", "when does the ferry go\nthx"),
    Drop("dedup", "dedup/near_duplicate", 0.14, 0.93, 0.72, "mirror.example", "Ada Thorn is the baker of Mill Lane."),
)
PLAN = {"flops": 1e15, "threads": 2, "dtype": "float32"}
STEPS = tuple(dict.fromkeys(drop.step for drop in DROPS))
QUESTIONS = ("Who is the baker of Mill Lane?", "Where does Wim Calder work?", "When did Bea Larkin open her shop?")


class SimulatedRun:
    """Writes the line `name` into `runs`, stage after stage, stretched over `seconds`."""

    def __init__(self, runs: Path, name: str = "demo", seconds: float = 60.0, pages: int = 4000) -> None:
        self.runs, self.name, self.seconds, self.pages = runs, name, seconds, pages
        self.rng = random.Random(7)
        self.status = dict.fromkeys(STAGES, "waiting")
        self.begin = time.time()
        self.context_length = 256
        self.poison = ""  # markup that a test puts into every text

    def folder(self, stage: str) -> Path:
        return self.runs / stage / f"{self.name}-3f9a1c"

    def emit(self, stage: str, kind: str, **fields: Any) -> None:
        folder = self.folder(stage)
        folder.mkdir(parents=True, exist_ok=True)
        event = {"t": round(time.time(), 3), "stage": stage, "kind": kind, **fields}
        with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def tell(self, status: str = "running", error: str | None = None) -> None:
        """The line file, replaced whole as the pipeline does."""
        stages = [
            {
                "stage": stage,
                "status": state,
                "run": None if state == "waiting" else f"{stage}/{self.folder(stage).name}",
            }
            for stage, state in self.status.items()
        ]
        done = [stage for stage in ("sft", "train") if self.status[stage] == "done"]
        line = {
            "recipe": self.name,
            "status": status,
            "started": self.begin,
            "stages": stages,
            "error": error,
            "model": f"{done[0]}/{self.folder(done[0]).name}/model" if done else None,
        }
        path = self.runs / "lines" / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(line), encoding="utf-8")
        temporary.replace(path)

    def run(self, until: str = "eval") -> None:
        """All stages up to `until`."""
        self.tell()
        for stage in STAGES:
            self.stage(stage)
            if stage == until:
                break
        self.tell("done" if until == "eval" else "running")

    def stage(self, stage: str, finish: bool = True) -> None:
        """One stage; without `finish` it stays at work."""
        begin = time.time()
        self.status[stage] = "running"
        self.emit(stage, "start", run=self.folder(stage).name, digest="0" * 64)
        self.tell()
        work: Callable[[], None] = getattr(self, stage)
        work()
        if finish:
            (self.folder(stage) / "manifest.json").write_text("{}")
            (self.folder(stage) / "DONE").write_text("")
            self.emit(stage, "done", seconds=round(time.time() - begin, 3))
            self.status[stage] = "done"
            self.tell()

    def steps(self, stage: str, number: int) -> Iterator[int]:
        """1 to `number`, spread over the stage's share of the time."""
        for step in range(1, number + 1):
            time.sleep(self.seconds * SHARES[stage] / number)
            yield step

    # --- the stages ---------------------------------------------------------------------------------------------------

    def miniweb(self) -> None:
        questions = [
            {"question": q, "answer": "Ada Thorn.", "kind": "fact", "in_sft": False, "wording": "known"}
            for q in QUESTIONS
        ]
        questions += [
            {"question": "What is 17 times 23?", "answer": "17 times 23 is 391.", "kind": "sum"},
            {"question": "Where was Zed Nobody born?", "answer": "I do not know.", "kind": "unknown"},
        ]
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        (self.folder("miniweb") / "questions.jsonl").write_text(lines, encoding="utf-8")
        for step in self.steps("miniweb", 20):
            self.emit("miniweb", "progress", done=self.pages * step // 20, total=self.pages, unit="pages")

    def corpus(self) -> None:
        for step in self.steps("corpus", 60):
            seen = self.pages * step // 60
            self.emit("corpus", "progress", done=seen, total=self.pages, unit="pages")
            left = seen
            for name in STEPS:
                dropped = {drop.rule: int(drop.share * seen) for drop in DROPS if drop.step == name}
                out = left - sum(dropped.values())
                self.emit("corpus", "funnel", step=name, **{"in": left, "out": out}, dropped=dropped)
                left = out
            self.emit("corpus", "funnel", step="pii", **{"in": left, "out": left}, dropped={})
            for _ in range(2):
                self.emit("corpus", "example", **self.example())
        self.write_documents()

    def example(self) -> Row:
        if self.rng.random() < 0.4:
            return {"url": f"http://town.example/{self.rng.randrange(999)}", "kept": True, "text": self.text()}
        drop = self.rng.choice(DROPS)
        url = f"http://{drop.host}/{self.rng.randrange(999)}{self.poison}"
        verdict = {"step": drop.step, "rule": drop.rule, "value": drop.value, "bound": drop.bound}
        return {"url": url, "kept": False, **verdict, "text": drop.text + self.poison}

    def text(self) -> str:
        person, trade, street = self.rng.choice(PEOPLE), self.rng.choice(TRADES), self.rng.choice(STREETS)
        year, price = self.rng.randrange(1950, 2020), self.rng.randrange(2, 40)
        return (
            f"{person} is the {trade} of {street}. The shop opened in {year} and is known for its patience. "
            f"On most mornings you can see {person.split()[0]} at the window, working before the town is awake. "
            f"A visit costs {price} crowns, and nobody has ever complained about it." + self.poison
        )

    def write_documents(self) -> None:
        shards = self.folder("corpus") / "shards"
        shards.mkdir(parents=True, exist_ok=True)
        kept = [self.document(i) for i in range(300)]
        dropped = [self.dropped_document(i, drop) for i, drop in enumerate(DROPS * 16)]
        pq.write_table(pa.Table.from_pylist(kept), shards / "documents-00000.parquet")
        pq.write_table(pa.Table.from_pylist(dropped), shards / "dropped-00000.parquet")
        lost = {"source": "pages-00003.warc.gz", "offset": 4711, "reason": "record cut off after 312 of 900 bytes"}
        (self.folder("corpus") / "quarantine.jsonl").write_text(json.dumps(lost) + "\n", encoding="utf-8")

    def document(self, i: int) -> Row:
        origin = {"date": "2026-01-01", "source": "pages-00000.warc.gz", "offset": i * 900, "cluster_size": 1 + i % 3}
        pii = [{"kind": "email", "start": 0, "end": 7}] if i % 5 == 0 else []
        row = {"id": f"{i:016x}", "url": f"http://town.example/{i}", "text": self.text(), "pii": pii, **origin}
        return {**row, "language": "en", "language_score": 0.97}

    def dropped_document(self, i: int, drop: Drop) -> Row:
        verdict = {"step": drop.step, "rule": drop.rule, "value": float(drop.value), "bound": float(drop.bound)}
        row = {"id": f"{i:016x}", "url": f"http://{drop.host}/{i}{self.poison}", "text": drop.text + self.poison}
        return {**row, **verdict, "detail": "", "language": "en", "language_score": 0.9, "source": "w", "offset": i}

    def tokenizer(self) -> None:
        from glassmill.run import kinds
        from glassmill.tokens.bpe import birth_counts, recover_merges, train
        from glassmill.tokens.specials import layout, special_ids
        from glassmill.tokens.split import OWN_PATTERN, PATTERNS
        from glassmill.tokens.tokenizer import Tokenizer
        from glassmill.tokens.vocabulary import merge_lines

        texts = [self.text() for _ in range(200)]
        symbols = train(texts, layout(640).symbols, PATTERNS[OWN_PATTERN])
        ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
        tokenizer = Tokenizer.from_ranks(ranks, PATTERNS[OWN_PATTERN], special_ids(len(ranks)))
        merges = recover_merges(ranks)
        left_over = [0] * tokenizer.vocab_size
        for text in texts:
            for token in tokenizer.encode(text).tolist():
                left_over[token] += 1
        lines = merge_lines(symbols, merges, birth_counts(left_over, merges))
        for step in self.steps("tokenizer", 40):
            self.emit("tokenizer", "progress", done=step * 5, total=200, unit="documents", message="reading documents")
            for line in lines[len(lines) * (step - 1) // 40 : len(lines) * step // 40]:
                self.emit("tokenizer", "merge", **kinds.fields_of(line))
        tokenizer.save(self.folder("tokenizer"))
        text = "".join(json.dumps(kinds.fields_of(line)) + "\n" for line in lines)
        (self.folder("tokenizer") / "merges.jsonl").write_text(text, encoding="utf-8")

    def tokens(self) -> None:
        for step in self.steps("tokens", 8):
            self.emit("tokens", "progress", done=step, total=8, unit="shards", message="encoding documents")

    def train(self) -> None:
        self.emit("train", "plan", steps=900, parameters=11_800_000, tokens=7_372_800, minutes=3, **PLAN)
        self.learn("train", 900, 7.6, 1.9, ("Ada Thorn is", "The mill", "On Ferry Road"))

    def sft(self) -> None:
        self.emit("sft", "plan", steps=300, parameters=11_800_000, tokens=1_228_800, minutes=1, **PLAN)
        self.learn("sft", 300, 2.6, 0.35, ("Who is the baker of Mill Lane?", "What is 17 times 23?"))
        self.write_model()

    def learn(self, stage: str, steps: int, first: float, last: float, prompts: tuple[str, ...]) -> None:
        points = 90
        for point in self.steps(stage, points):
            step = steps * point // points
            loss = last + (first - last) * math.exp(-5.0 * point / points) + self.rng.gauss(0, 0.06)
            rate = 0.002 * min(1, 8 * point / points, 4 * (1.02 - point / points))
            left = self.seconds * SHARES[stage] * (1 - point / points)
            speed = 41_000 + self.rng.gauss(0, 900)
            self.emit(
                stage,
                "metric",
                step=step,
                steps=steps,
                loss=loss,
                lr=rate,
                grad_norm=0.7,
                tokens=step * 8192,
                tokens_per_s=speed,
                seconds_left=left,
            )
            if point % 10 == 0:
                self.emit(stage, "validation", step=step, bits_per_byte=0.36 * loss)
                for prompt in prompts:
                    self.emit(stage, "sample", step=step, prompt=prompt, text=self.babble(point / points))

    def babble(self, share: float) -> str:
        words = self.text().split()
        noise = ["the", "of", "mill", "a", "and", "xq", "tion", ",", "bread"]
        said = " ".join(word if self.rng.random() < share else self.rng.choice(noise) for word in words[2:30])
        return f" {said}{self.poison}"

    def write_model(self) -> None:
        import torch

        from glassmill.infer.folder import save_folder
        from glassmill.model.config import ModelConfig
        from glassmill.model.initial import initialize
        from glassmill.model.transformer import Transformer
        from glassmill.tokens.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(self.folder("tokenizer"))
        config = ModelConfig(
            tokenizer.vocab_size,
            d_model=32,
            num_layers=2,
            num_heads=2,
            num_kv_heads=2,
            head_dim=16,
            d_ff=64,
            context_length=self.context_length,
        )
        model = Transformer(config)
        initialize(model, seed=1)
        with torch.no_grad():  # no logit above zero for control tokens: greedy answers go on until the context is full
            model.model.embed_tokens.weight[list(tokenizer.special.values())] = 0
        save_folder(self.folder("sft") / "model", model, tokenizer, {"run": "simulated"})

    def eval(self) -> None:
        for step in self.steps("eval", 16):
            self.emit("eval", "progress", done=step * 64, total=1024, unit="questions")
            self.emit(
                "eval", "answer", question=QUESTIONS[step % 3], text="Ada Thorn." + self.poison, right=step % 4 != 0
            )
        scores = {
            "val_bpb": 0.684,
            "facts_accuracy": 0.8312,
            "facts_accuracy_new_wording": 0.5571,
            "unknown_refused": 0.941,
            "sums_correct": 0.985,
            "false_claims_believed": 0.02,
            "junk_kept": 0.011,
            "good_lost": 0.024,
            "duplicates_removed": 0.973,
        }
        for name, value in scores.items():
            self.emit("eval", "score", name=name, value=value)
        report: Row = {
            **scores,
            "recall": {
                "spam": 0.99,
                "gambling": 1.0,
                "adult": 1.0,
                "nonsense": 0.97,
                "menus": 0.95,
                "cookie_wall": 1.0,
            },
            "precision": {step: 0.9 + 0.01 * i for i, step in enumerate(STEPS)},
            "pii": {"planted": 214, "missed": 1, "produced_by_model": 0},
        }
        answers = [
            {
                "question": q,
                "answer": "Ada Thorn.",
                "said": "Otto Fenn." if i % 3 == 0 else "Ada Thorn.",
                "right": i % 3 != 0,
            }
            for i, q in enumerate(QUESTIONS * 6)
        ]
        (self.folder("eval") / "report.json").write_text(json.dumps(report), encoding="utf-8")
        (self.folder("eval") / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    SimulatedRun(arguments.runs, seconds=arguments.seconds).run()
