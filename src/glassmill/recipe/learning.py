"""Settings from clean documents to a finished model, and of how a machine does the work."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glassmill.recipe.base import Settings, runtime, user_files


class TokenizerSettings(Settings):
    """Byte-level BPE."""

    vocab_size: int = Field(32_768, ge=262, le=200_064, description="ids, special tokens included; rounded up to 64")
    max_bytes: int = Field(
        1_000_000_000,
        ge=1,
        description="text to train on, from the start of the corpus; the distinct pieces stay in memory",
    )
    pattern: str = Field(
        "llama3",
        min_length=1,
        description="how text is cut: llama3, cl100k_base, o200k_base, gpt2, whitespace, or a regex",
    )
    tie_break: Literal["bytes", "hf"] = Field("bytes", description="of equal pairs: as rustbpe, or as Hugging Face")
    threads: int = runtime(0, ge=0, description="0: all cores")


class TokensSettings(Settings):
    """Documents to id shards."""

    validation_share: float = Field(0.02, gt=0, lt=0.5, description="share of documents held out, chosen by their hash")
    workers: int = runtime(0, ge=0, description="worker processes; 0: one a core")


class ModelSettings(Settings):
    """The shape of the Transformer (Qwen3)."""

    d_model: int = Field(384, ge=16)
    num_layers: int = Field(6, ge=1)
    num_heads: int = Field(6, ge=1)
    num_kv_heads: int = Field(6, ge=1)
    head_dim: int = Field(64, ge=8)
    d_ff: int = Field(1024, ge=16)
    context_length: int = Field(512, ge=16, le=131_072)
    rope_theta: float = Field(10_000.0, gt=0)
    tie_embeddings: bool = True


class LoopSettings(Settings):
    """What pretraining and sft share: the time box, the optimiser, the schedule."""

    minutes: float | None = Field(None, gt=0, description="time box; how many steps fit is measured at the start")
    steps: int | None = Field(None, ge=1, description="number of steps; with minutes, the most that are taken")
    batch_tokens: int = Field(4096, ge=16, description="tokens a step")
    micro_batch_tokens: int = Field(
        4096, ge=16, description="tokens in memory at once; a batch is summed up from these"
    )
    optimizer: Literal["muon", "adamw"] = Field("muon", description="for the blocks' matrices; the rest is AdamW's")
    peak_lr: float = Field(0.02, gt=0, description="of the blocks' matrices")
    embedding_lr: float = Field(0.004, gt=0, description="of embeddings, head and gains")
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon's")
    weight_decay: float = Field(0.0, ge=0, description="of the blocks' matrices")
    warmup_steps: int = Field(20, ge=0)
    decay_share: float = Field(0.5, ge=0, le=1, description="share of the steps in which the rate falls to zero")
    reports: int = runtime(8, ge=1, description="validations and samples over the run")
    checkpoint_seconds: float = runtime(30.0, ge=0)
    measure_seconds: float = runtime(4.0, gt=0, description="measuring the speed for the time box")
    threads: int = runtime(0, ge=0, description="0: what torch finds; a run keeps the number that it began with")


class TrainSettings(LoopSettings):
    """Pretraining on random windows."""

    validation_tokens: int = runtime(32_768, ge=16, description="held-out tokens scored at every report")
    prompts: tuple[str, ...] = runtime(
        (), description="continued at every report; empty: openings of held-out documents"
    )
    sample_tokens: int = runtime(48, ge=1)


class SftSettings(LoopSettings):
    """Base model to assistant."""

    base: str | None = runtime(None, description="a model folder to start from; none: the recipe's own base model")
    conversations: tuple[str, ...] = user_files(description="JSONL files of {messages}; empty: the recipe's miniweb")
    epochs: float | None = Field(None, gt=0, description="passes over the conversations, instead of steps")
    length: int = Field(256, ge=16, description="tokens of a row, into which whole conversations are packed")
    pages: float = Field(0.5, ge=0, lt=1, description="share of rows that are still pages, so that facts stay known")
    held_out: float = Field(0.03, ge=0, lt=0.5, description="share of conversations that only measure")
    peak_lr: float = Field(0.006, gt=0)
    embedding_lr: float = Field(0.0012, gt=0)
    reports: int = runtime(3, ge=1)


class EvalSettings(Settings):
    """What is asked of the finished model."""

    questions: str | None = Field(None, description="a questions.jsonl; none: the recipe's miniweb")
    limit: int = Field(0, ge=0, description="questions per kind; 0: all")


class RunSettings(Settings):
    """Who does the work on shards. What comes out is the same from all of them."""

    executor: Literal["local", "ray", "slurm"] = runtime(
        "local", description="processes of this machine; Ray tasks; or an array job's tasks, see docs/slurm.sh"
    )
    ray_address: str | None = runtime(None, description="host:port of a Ray cluster; none: one on this machine")
    worker_timeout_s: float = runtime(900.0, gt=0, description="kill a worker that reports nothing for this long")
