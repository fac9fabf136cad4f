"""Our scores of tasks beside lm-eval's (EleutherAI, MIT), which asks `glassmill serve` through its API.

    pip install --target /tmp/lm-eval 'lm-eval[api]==0.4.13' transformers
    python bench/tasks_vs_lm_eval.py models/smollm2 --tasks blimp,copa,winograd --task-files tasks --limit 200
        --libraries /tmp/lm-eval

lm-eval builds the prompts, encodes them with transformers' tokenizer, and counts; all that is ours are the
log-probabilities in the server's answers. Both get the same rows, without examples. Prints a line for each task: both
scores with the standard error, and of how many rows the two think differently.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from machine import machine

from glassmill.commands.evaluate import evaluate_model
from glassmill.commands.tasks import Asked
from glassmill.evals.task_files import Task, find_tasks

STARTS_WITHIN_S = 120
AT_ONCE = 16


def lm_eval_task(task: Task, rows: Path) -> dict[str, Any]:
    """The task as lm-eval describes one."""
    ways: dict[str, dict[str, Any]] = {
        "pairs": {"doc_to_text": "", "doc_to_target": 0, "doc_to_choice": "{{[sentence_good, sentence_bad]}}"},
        "choice": {"doc_to_text": "{{query}}", "doc_to_target": "gold", "doc_to_choice": "choices"},
        "schema": {"doc_to_text": "gold", "doc_to_target": "continuation", "doc_to_choice": "context_options"},
        "language": {"doc_to_text": "{{context|trim}}", "doc_to_target": _with_delimiter(task)},
    }
    metrics = ["acc"] if task.kind in ("schema", "language") else ["acc", "acc_norm"]
    return {
        "task": task.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "test_split": "test",
        "output_type": "loglikelihood" if task.kind == "language" else "multiple_choice",
        "target_delimiter": "" if task.kind == "pairs" else task.setup.delimiter,
        "num_fewshot": 0,
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics],
        **ways[task.kind],
    }


def _with_delimiter(task: Task) -> str:
    """lm-eval sets its delimiter before the answers of choices only."""
    return "{{" + repr(task.setup.delimiter) + " + continuation}}"


def serve(model: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server on a free port, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "glassmill", "serve", str(model), "--port", str(port)]
    server, url = subprocess.Popen(command, stderr=subprocess.DEVNULL), f"http://127.0.0.1:{port}/v1"
    for _ in range(STARTS_WITHIN_S):
        time.sleep(1)
        try:
            urllib.request.urlopen(f"{url}/models", timeout=5).read()
            return server, url
        except OSError:
            continue
    server.terminate()
    raise SystemExit(f"no answer from {url} within {STARTS_WITHIN_S} s")


def theirs(tasks: list[dict[str, Any]], url: str, model: Path) -> dict[str, Any]:
    """What lm-eval's `simple_evaluate` returns."""
    import lm_eval  # type: ignore[import-not-found]

    name = json.loads(urllib.request.urlopen(f"{url}/models", timeout=5).read())["data"][0]["id"]
    given = {"model": name, "base_url": f"{url}/completions", "tokenizer": str(model), "batch_size": AT_ONCE}
    given |= {"tokenizer_backend": "huggingface", "tokenized_requests": True, "timeout": 600}
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model="local-completions", model_args=given, tasks=tasks, log_samples=True, bootstrap_iters=0
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tasks", required=True)
    parser.add_argument("--task-files", type=Path, default=Path("tasks"))
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--libraries", type=Path, help="where lm-eval was installed")
    args = parser.parse_args()
    print(machine())
    began, cpu = time.monotonic(), time.process_time()
    ours = evaluate_model(
        args.model, None, None, None, Asked(args.tasks, args.task_files, args.limit, 0, False, False, 1234)
    )
    spent = f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} s of processor"
    if args.libraries:
        sys.path.append(str(args.libraries))  # behind: ours come first
    tasks, _ = find_tasks(args.tasks.split(","), args.task_files, shots=0)
    with tempfile.TemporaryDirectory() as place:
        described = []
        for task in tasks:
            lines = task.path.read_text(encoding="utf-8").splitlines()
            rows = Path(place) / f"{task.name}.jsonl"
            rows.write_text("".join(lines[row["line"] - 1] + "\n" for row in ours["rows"][task.name]))
            described.append(lm_eval_task(task, rows))
        server, url = serve(args.model)
        try:
            began = time.monotonic()
            other = theirs(described, url, args.model)
            print(f"ours {spent}; lm-eval through the API {time.monotonic() - began:.0f} s")
        finally:
            server.terminate()
            server.wait()
    for row in ours["tasks"]:
        samples = sorted(other["samples"][row["name"]], key=lambda sample: sample["doc_id"])
        for way, metric in (("accuracy", "acc"), ("per_character", "acc_norm")):
            if way not in row or metric not in samples[0]:
                continue
            both = [
                (mine[way], float(one[metric])) for mine, one in zip(ours["rows"][row["name"]], samples, strict=True)
            ]
            value = sum(one for _, one in both) / len(both)
            apart = sum(mine != one for mine, one in both)
            told = (
                f"{row[way]:.4f} ± {row[way + '_error']:.4f}   lm-eval {value:.4f}   {apart} of {len(both)} rows differ"
            )
            print(f"{row['name']:<52} {metric:<8} {told}")


if __name__ == "__main__":
    main()
