"""Settings of what comes after tuning: rewards and preferences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glassmill.recipe.base import runtime, user_file, user_files
from glassmill.recipe.learning import LoopSettings


class _PreferringSettings(LoopSettings):
    """What both share: small steps of AdamW from a finished model."""

    base: str | None = user_file(
        None,
        min_length=1,
        description="the model to start from: a folder, a run, or the name of an import; none: the recipe's own",
    )
    batch_tokens: int = runtime(4096, ge=16, description="without meaning here: answers or pairs set the batch")
    optimizer: Literal["muon", "adamw"] = Field("adamw", description="of the matrices in the blocks")
    peak_lr: float | None = Field(  # type: ignore[assignment]
        None,
        gt=0,
        description="learning rate of the matrices in the blocks; none: for a model trained here 0.001 in rl, 0.0001 "
        "in dpo, for an imported one 0.000001, for adapters 0.00001",
    )
    embedding_lr: float | None = Field(  # type: ignore[assignment]
        None, gt=0, description="learning rate of everything else; none: the same"
    )
    pages: float = Field(
        0.0,
        ge=0,
        description="weight of the loss on pages beside every batch, so that what it does not speak of stays known",
    )
    grad_clip: float = Field(1.0, ge=0, description="a longer gradient is cut to this norm; 0: never")
    normuon_beta2: float = Field(0.0, ge=0, lt=1, description="as in train; tuning is short, and learns less with it")


class DpoSettings(_PreferringSettings):
    """A tuned model to one that answers like the better one of two answers."""

    pairs: tuple[str, ...] = user_files(
        description="files of preference pairs (JSONL, a JSON list, CSV, Parquet): prompt, chosen and rejected"
    )
    epochs: float = Field(1.0, gt=0, description="passes over the pairs, where no steps are given")
    batch_pairs: int = Field(16, ge=1, le=65_536, description="pairs in a step")
    length: int | None = Field(
        None, ge=16, description="tokens of a conversation; longer pairs are left out; none: the model's context"
    )
    beta: float = Field(0.1, gt=0, description="strength of the tie to the model that it started from")
    sft: float = Field(0.0, ge=0, description="weight of the better answer's own loss, which keeps it likely")
    held_out: float = Field(0.05, ge=0, lt=0.5, description="share of pairs held out for measuring")
    reports: int = runtime(3, ge=1)


class RlSettings(_PreferringSettings):
    """A tuned model to one that does better at tasks whose answers can be checked."""

    tasks: tuple[str, ...] = user_files(
        description="files of tasks: what is asked, and what an answer is worth; empty: the recipe's miniweb"
    )
    steps: int = Field(40, ge=1, description="number of steps; with minutes, the most that are taken")
    prompts: int = Field(16, ge=1, le=4096, description="groups of answers in a round")
    answers: int = Field(8, ge=2, le=1024, description="answers in a group, which are compared with one another")
    tries: int = Field(
        4, ge=1, le=100, description="how many times so many tasks are asked at most, to find groups that teach"
    )
    updates: int = Field(1, ge=1, le=256, description="steps that share a round's answers; more than one are clipped")
    show: bool = Field(False, description="a task's own solution takes the place of an answer where none is right")
    max_tokens: int = Field(48, ge=1, description="longest answer; one that is cut off there is worth nothing")
    temperature: float = Field(1.0, gt=0, le=10, description="of the draws")
    clip_low: float = Field(
        0.2, gt=0, lt=1, description="how much less likely a token may become in a round before it counts no more"
    )
    clip_high: float = Field(0.28, gt=0, description="how much more likely")
    kl: float = Field(0.0, ge=0, description="penalty for leaving the model that it started from; 0: that is not kept")
    held_out: float = Field(0.05, ge=0, lt=0.5, description="share of tasks held out for measuring")
    warmup_steps: int = Field(3, ge=0, description="steps in which the rate rises; at most a tenth of all")
    reports: int = runtime(3, ge=1)
