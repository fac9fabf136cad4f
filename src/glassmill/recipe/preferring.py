"""Settings of what comes after tuning: rewards and preferences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glassmill.recipe.base import runtime, user_file, user_files
from glassmill.recipe.learning import LoopSettings


class RlSettings(LoopSettings):
    """A tuned model to one that does better at tasks whose answers can be checked."""

    base: str | None = user_file(
        None,
        min_length=1,
        description="the model to start from: a folder, a run, or the name of an import; none: the recipe's sft",
    )
    tasks: tuple[str, ...] = user_files(
        description="files of tasks: what is asked, and what an answer is worth; empty: the recipe's miniweb"
    )
    steps: int = Field(40, ge=1, description="number of steps; with minutes, the most that are taken")
    batch_tokens: int = runtime(4096, ge=16, description="without meaning: prompts, answers and updates set the batch")
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
    optimizer: Literal["muon", "adamw"] = Field("adamw", description="of the matrices in the blocks")
    peak_lr: float = Field(0.0003, gt=0, description="learning rate of the matrices in the blocks")
    embedding_lr: float = Field(0.0003, gt=0, description="learning rate of everything else")
    grad_clip: float = Field(1.0, ge=0, description="a longer gradient is cut to this norm; 0: never")
    warmup_steps: int = Field(3, ge=0, description="steps in which the rate rises; at most a tenth of all")
    normuon_beta2: float = Field(0.0, ge=0, lt=1, description="as in train")
    reports: int = runtime(3, ge=1)
