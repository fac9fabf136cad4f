"""Settings from clean documents to a finished model, and of how a machine does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from glassmill.recipe.base import Settings, runtime, user_file, user_files
from glassmill.recipe.depth import Shape, shape_of


class TokenizerSettings(Settings):
    """Byte-level BPE."""

    base: str | None = Field(
        None,
        min_length=1,
        description="take this vocabulary instead of learning one: a model, a run, a tokenizer file, or a known name "
        "such as cl100k_base; none: that of train.base, or a new one",
    )
    vocab_size: int = Field(32_768, ge=262, le=200_064, description="ids, special tokens included; rounded up to 64")
    max_bytes: int = Field(
        1_000_000_000,
        ge=1,
        description="text to train on, an even sample of a larger corpus; the distinct pieces stay in memory",
    )
    pattern: str = Field(
        "llama3",
        min_length=1,
        description="how text is split: llama3, cl100k_base, o200k_base, gpt2, smollm, qwen2, whitespace, or a regex",
    )
    tie_break: Literal["bytes", "hf"] = Field(
        "bytes", description="order of equally frequent pairs: as rustbpe, or as Hugging Face"
    )
    threads: int = runtime(0, ge=0, description="0: all cores")


class TokensSettings(Settings):
    """Documents to id shards."""

    validation_share: float = Field(0.02, gt=0, lt=0.5, description="share of documents held out, chosen by their hash")
    workers: int = runtime(0, ge=0, description="worker processes; 0: one per core")


class ModelSettings(Settings):
    """The shape of the Transformer (Qwen3)."""

    depth: int | None = runtime(
        None,
        ge=1,
        le=64,
        description="number of layers; sets width, heads, learning rates, batch size and length to match",
    )
    d_model: int = Field(384, ge=16, le=65_536, multiple_of=2, description="width of the residual stream, even")
    num_layers: int = Field(6, ge=1, le=1024)
    num_heads: int = Field(6, ge=1, le=1024, description="of queries")
    num_kv_heads: int = Field(6, ge=1, le=1024, description="of keys and values; divides num_heads")
    head_dim: int = Field(64, ge=8, le=4096, multiple_of=2, description="channels of a head, even: they turn in pairs")
    d_ff: int = Field(1024, ge=16, le=1_048_576, description="width of the feed-forward layers")
    context_length: int = Field(512, ge=16, le=131_072, description="tokens in a training window")
    rope_theta: float = Field(10_000.0, gt=0, description="base of the rotary positions")
    tie_embeddings: bool = Field(
        False,
        description="the output head shares the embedding's weights; one of its own has as many weights again, learns "
        "faster, and can start with the bigrams of the text (train.bigrams)",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_shape(cls, values: object) -> object:
        """What `depth` gives and nobody set by hand. A recipe adds rates and batch, see `whole`."""
        if isinstance(values, Mapping) and isinstance(values.get("depth"), int) and values["depth"] > 0:
            return {**shape_of(values["depth"]), **values}
        return values

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> ModelSettings:
        if self.num_heads % self.num_kv_heads:
            near = max(n for n in range(1, self.num_heads + 1) if self.num_heads % n == 0 and n <= self.num_kv_heads)
            raise ValueError(
                f"model.num_kv_heads = {self.num_kv_heads} does not divide model.num_heads = {self.num_heads}; "
                f"set model.num_kv_heads={near}"
            )
        return self

    def shape(self) -> ModelShape:
        """The settings that a `ModelConfig` takes."""
        return {
            "d_model": self.d_model,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "num_kv_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "d_ff": self.d_ff,
            "context_length": self.context_length,
            "rope_theta": self.rope_theta,
            "tie_embeddings": self.tie_embeddings,
        }


class ModelShape(Shape):
    """Everything about a model but its vocabulary."""

    context_length: int
    rope_theta: float
    tie_embeddings: bool


class LoraSettings(Settings):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): they are trained instead of the model's own weights."""

    rank: int = Field(0, ge=0, le=4096, description="of the adapters; 0: train all weights")
    alpha: float | None = Field(None, gt=0, description="strength of the adapters; none: twice the rank")
    targets: tuple[Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
        description="the layers of a block that get one",
    )


class LoopSettings(Settings):
    """What pretraining and sft share: the time box, the optimizer, the schedule, the device.

    Device, threads and step are not part of a run's identity by name; what they came to is, once it is finished.
    """

    minutes: float | None = Field(
        None, gt=0, description="time box; the number of steps that fit is measured at the start"
    )
    steps: int | None = Field(None, ge=1, description="number of steps; with minutes, the most that are taken")
    batch_tokens: int = Field(4096, ge=16, description="tokens per step")
    micro_batch_tokens: int = Field(
        4096, ge=16, description="tokens in memory at once; the gradients of a batch are summed over such parts"
    )
    optimizer: Literal["muon", "adamw"] = Field(
        "muon", description="of the matrices in the blocks; everything else is trained with AdamW"
    )
    peak_lr: float = Field(0.02, gt=0, description="learning rate of the matrices in the blocks")
    embedding_lr: float = Field(0.004, gt=0, description="learning rate of everything else: embeddings, head, gains")
    momentum: float = Field(0.95, ge=0, lt=1, description="of Muon")
    normuon_beta2: float = Field(
        0.95,
        ge=0,
        lt=1,
        description="of Muon: how slowly the second moments move by which NorMuon evens out a step over neurons; 0: it "
        "does not",
    )
    adam_betas: tuple[float, float] = Field((0.9, 0.95), description="of AdamW: how slowly its two averages move")
    weight_decay: float = Field(0.0, ge=0, description="of the matrices in the blocks")
    grad_clip: float = Field(0.0, ge=0, description="a longer gradient is cut to this norm; 0: never")
    on_spike: Literal["continue", "stop", "rollback"] = Field(
        "continue",
        description="when the loss jumps far above that of the last 50 steps: say so, stop, or go back to a checkpoint "
        "before and skip the batches in between; rollback does so for a loss that is no number, too",
    )
    rollback_steps: int = Field(100, ge=1, description="steps between the checkpoints that a rollback goes back to")
    keep_best: bool = Field(False, description="the finished model is the one that reported best on held-out text")
    seed: int | None = Field(
        None, ge=0, lt=2**31, description="of first weights and order of this stage alone; none: the recipe's seed"
    )
    lora: LoraSettings = LoraSettings()
    warmup_steps: int = Field(20, ge=0, description="steps in which the rate rises; at most a tenth of all")
    decay_share: float = Field(0.5, ge=0, le=1, description="share of the steps over which the rate falls to zero")
    decay_floor: float = Field(0.0, ge=0, lt=1, description="share of the rate at which its fall ends")
    average: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the last steps over which the weights are averaged; their mean is published; 0: the last "
        "weights are",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of what a layer adds that is set to zero while it trains, for many epochs of little text",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = runtime("auto", description="auto: a CUDA GPU if there is one")
    dtype: Literal["auto", "float32", "bfloat16"] = runtime(
        "auto", description="type of matrix products; auto: bfloat16 where that is faster; weights stay float32"
    )
    step: Literal["auto", "fused", "autograd"] = runtime(
        "auto",
        description="how gradients are computed; fused is for a plain model on a CPU, auto takes it where it can",
    )
    threads: int = runtime(0, ge=0, description="CPU threads; 0: torch's default")
    parallel: Literal["auto", "ddp", "fsdp"] = runtime(
        "auto",
        description="under torchrun: a process has the whole model (ddp) or a share of it (fsdp); auto: ddp if it fits",
    )
    tensor_parallel: int = runtime(
        1,
        ge=1,
        description="under torchrun: so many processes compute each layer together, for layers too wide for a device; "
        "a divisor of the number of processes, the heads and d_ff",
    )
    activation_checkpointing: bool = runtime(
        False, description="compute each block's forward pass twice instead of keeping what it computed"
    )
    reports: int = runtime(8, ge=1, description="how often to validate and write samples")
    checkpoint_seconds: float = runtime(30.0, ge=0, description="least time between two checkpoints")
    keep_checkpoints: int = runtime(2, ge=1, description="how many checkpoints stay while it trains, the newest")
    log: tuple[Literal["csv", "tensorboard", "trackio", "wandb"], ...] = runtime(
        (), description="where numbers go besides events.jsonl: csv (metrics.csv), tensorboard, trackio, wandb"
    )
    measure_seconds: float = runtime(4.0, gt=0, description="how long the speed is measured for the time box")

    def chosen(self) -> dict[str, str | int]:
        made = {"device": self.device, "step": self.step, "threads": self.threads}
        return {name: value for name, value in made.items() if value not in ("auto", 0)}

    @field_validator("adam_betas")
    @classmethod
    def _below_one(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both lie between 0 and 1, and 1 itself is too much")
        return betas


MOST_SNAPSHOT_PARAMETERS = 5_000_000


class TrainSettings(LoopSettings):
    """Pretraining on random windows."""

    base: str | None = user_file(
        None,
        min_length=1,
        description="the model to continue from: a folder, a run, or the name of an import; its shape and vocabulary "
        "are taken, and rates that suit it where none are set; none: a new model",
    )
    mixture: Mapping[str, Annotated[float, Field(ge=0.001, le=1)]] = user_file(
        {},
        description="other finished tokens runs, each with its share of the windows; the rest is the recipe's own "
        "text, and only of that, pages are held out",
    )
    bigrams: bool = Field(
        True,
        description="a new model with a head of its own starts with what follows what in its text, counted over the "
        "first 4 million tokens it will read",
    )
    document_attention: bool = Field(
        False, description="a token attends to its own document alone, not to others before it in the window"
    )
    validation_tokens: int = runtime(32_768, ge=16, description="held-out tokens scored at every report")
    prompts: tuple[str, ...] = runtime(
        (), description="continued at every report; empty: openings of held-out documents"
    )
    sample_tokens: int = runtime(48, ge=1)
    snapshots: Literal["auto", "all", "none"] = runtime(
        "auto",
        description="weights kept after 0, 1, 2, 4, 8, ... steps, to look at how the model came to be; auto: those of "
        f"models with at most {MOST_SNAPSHOT_PARAMETERS:,} parameters, 10 MB or less each",
    )

    @field_validator("mixture")
    @classmethod
    def _no_more_than_all(cls, mixture: Mapping[str, float]) -> Mapping[str, float]:
        if sum(mixture.values()) > 1 + 1e-9:
            raise ValueError(f"the shares add up to {sum(mixture.values()):g}, and all windows are 1; lower them")
        return mixture


class SftSettings(LoopSettings):
    """Base model to assistant."""

    base: str | None = user_file(
        None,
        description="the model to start from: a folder, a run, or the name of an import; none: the recipe's base model",
    )
    conversations: tuple[str, ...] = user_files(
        description="files of conversations (JSONL, a JSON list, CSV, Parquet); empty: the recipe's miniweb"
    )
    epochs: float | None = Field(None, gt=0, description="passes over the conversations, instead of steps")
    length: int | None = Field(
        None, ge=16, description="tokens in a row of packed conversations; none: 256, or the context if it is shorter"
    )
    pages: float = Field(0.5, ge=0, lt=1, description="share of rows that are still pages, so that facts stay known")
    held_out: float = Field(0.03, ge=0, lt=0.5, description="share of conversations held out for measuring")
    optimizer: Literal["auto", "muon", "adamw"] = Field(  # type: ignore[assignment]
        "auto", description="auto: muon for a model trained here, adamw for an imported one"
    )
    peak_lr: float | None = Field(  # type: ignore[assignment]
        None,
        gt=0,
        description="learning rate of the matrices in the blocks; none: 0.006 for a model trained here, "
        "0.0001 or less for an imported one, by its size",
    )
    embedding_lr: float | None = Field(  # type: ignore[assignment]
        None,
        gt=0,
        description="learning rate of everything else; none: 0.0012, 0.0004 with a head of its own, or that of "
        "the matrices",
    )
    normuon_beta2: float = Field(0.0, ge=0, lt=1, description="as in train; tuning is short, and learns less with it")
    reports: int = runtime(3, ge=1)


class EvalSettings(Settings):
    """What is asked of the finished model."""

    questions: str | None = Field(
        None, description="your own {question, answer} rows (JSONL, JSON, CSV, TSV, Parquet); none: the miniweb's"
    )
    limit: int = Field(0, ge=0, description="questions per kind; 0: all")
    memorised: int = Field(
        0,
        ge=0,
        le=10_000,
        description="training passages per class to ask for word for word, see EVALUATION.md; 0: none",
    )


class RunSettings(Settings):
    """Who does the work on shards. What comes out is the same from all of them."""

    executor: Literal["local", "ray", "slurm"] = runtime(
        "local", description="processes of this machine; Ray tasks; or an array job's tasks, see docs/slurm.sh"
    )
    ray_address: str | None = runtime(None, description="host:port of a Ray cluster; none: start Ray on this machine")
    worker_timeout_s: float = runtime(900.0, gt=0, description="kill a worker that reports nothing for this long")
    worker_memory_mb: int = runtime(
        800, ge=0, description="MB that a page may take in a worker before it is quarantined; 0: no limit (Linux)"
    )
