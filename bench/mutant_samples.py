"""Good files of every kind for `mutants.py`, and what the real loaders read in them, as a digest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def make_samples(folder: Path) -> None:
    """One good file or folder of every kind in `READERS`."""
    for kind in READERS:
        (folder / kind).mkdir(parents=True)
    _models(folder)
    _checkpoint(folder / "checkpoint")
    _ids(folder / "ids")
    shutil.copy(Path(__file__).parents[1] / "recipes" / "demo.toml", folder / "recipe" / "mine.toml")
    rows: list[dict[str, Any]] = [{"messages": _talk(number), "kind": "fact"} for number in range(12)]
    rows += [
        {"prompt": "Say hello", "completion": "hello"},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "jsonl" / "talk.jsonl").write_text(lines, encoding="utf-8")


def _talk(number: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"What is {number} plus 1? — é 水"},
        {"role": "assistant", "content": f"{number + 1}"},
    ]


def _models(folder: Path) -> None:
    """One small model as our folder, as GGUF and as on the hub (in two shards), and its vocabulary alone."""
    import torch
    from safetensors.torch import save_file

    from glassmill.export.gguf_file import export_gguf
    from glassmill.infer.folder import save_folder
    from glassmill.model.config import ModelConfig
    from glassmill.model.transformer import Transformer
    from glassmill.tokens.split import PATTERNS
    from glassmill.tokens.tokenizer import Tokenizer

    torch.manual_seed(1)
    ranks = {bytes([value]): value for value in range(256)} | {b"th": 256, b"the": 257}
    tokenizer = Tokenizer.from_ranks(ranks, PATTERNS["llama3"], special={"<|endoftext|>": 258}, eos="<|endoftext|>")
    model = Transformer(ModelConfig(260, 16, 2, 2, 1, 8, 24, 64, qk_norm=False))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_folder(folder / "model", model.eval(), tokenizer, {"made_by": "bench/mutants.py", "steps": 3})
    export_gguf(folder / "model", folder / "gguf" / "model.gguf", "f16")
    _quantised(folder / "blocks", tokenizer)
    foreign = Path(shutil.copytree(folder / "model", folder / "foreign", dirs_exist_ok=True))
    for name in ("glassmill.json", "model.safetensors", "vocab.tiktoken", "meta.json"):
        (foreign / name).unlink()
    weights = dict(model.state_dict())
    places = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(places.values()):
        save_file({name: weights[name] for name in weights if places[name] == file}, foreign / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": places}
    (foreign / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    tokenizer.save(folder / "vocabulary")
    for name in ("vocab.tiktoken", "meta.json"):
        (folder / "vocabulary" / name).unlink()


def _quantised(folder: Path, tokenizer: Any) -> None:
    """A GGUF file of 4- and 8-bit blocks as others write it: without a checksum."""
    import gguf
    import torch

    from glassmill.export.gguf_file import export_gguf
    from glassmill.infer.folder import save_folder
    from glassmill.model.config import ModelConfig
    from glassmill.model.transformer import Transformer

    model = Transformer(ModelConfig(260, 256, 1, 2, 1, 64, 256, 64, qk_norm=False))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_folder(folder / "wide", model.eval(), tokenizer, {})
    file = gguf.GGUFReader(export_gguf(folder / "wide", folder / "sealed.gguf", "q4_k"))
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    for name, field in file.fields.items():
        if not name.startswith(("GGUF.", "glassmill.", "general.architecture")):
            kinds = field.types if len(field.types) == 2 else [field.types[0], None]
            writer.add_key_value(name, field.contents(), kinds[0], sub_type=kinds[1])
    for tensor in file.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shutil.rmtree(folder / "wide")
    (folder / "sealed.gguf").unlink()


def _checkpoint(folder: Path) -> None:
    import torch

    from glassmill.train.checkpoint import Checkpoint, save_checkpoint

    state = {"w": torch.randn(40), "b": torch.randn(3, 4)}
    for step in (10, 20):
        save_checkpoint(folder, Checkpoint(step, state, {f"adamw.{name}": t for name, t in state.items()}))
    shutil.rmtree(folder / "step-00000010")


def _ids(folder: Path) -> None:
    """A finished run of `tokens` with a shard of each split."""
    import numpy as np

    from glassmill.recipe import Recipe
    from glassmill.run.files import atomic_write
    from glassmill.run.folder import Identity, open_run

    with open_run(folder, Identity("tokens", 1, {}), Recipe()) as run:
        index: dict[str, Any] = {"dtype": "uint16", "vocab_size": 260, "eos_id": 258}
        for split, count in (("train", 400), ("validation", 50)):
            ids = np.random.default_rng(count).integers(0, 258, count).astype("<u2")
            atomic_write(run.shard_path(f"{split}-00000.bin"), ids.tobytes())
            starts = np.array([[0, 0], [count // 2, 1]], dtype=np.uint64)
            np.save(run.shard_path(f"{split}-00000.documents.npy"), starts)
            totals = {"tokens": count, "documents": 2, "bytes": 3 * count}
            names = {"file": f"shards/{split}-00000.bin", "documents_file": f"shards/{split}-00000.documents.npy"}
            index[split] = {**totals, "shards": [{**names, "corpus": "shards/documents-00000.parquet", **totals}]}
        run.write_json("index.json", index)
        run.finish({"seconds": 1})


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _tensors(tensors: dict[str, Any]) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    return [(name, str(t.dtype), tuple(t.shape), t.float().numpy().tobytes()) for name, t in sorted(tensors.items())]


def _loaded(folder: Path) -> str:
    from glassmill.infer.folder import load_folder

    loaded = load_folder(folder)
    tokenizer = loaded.tokenizer
    words = [tokenizer.encode(text).tolist() for text in ("the thing", "été 水\n 12")]
    facts = (loaded.config, words, tokenizer.special, tokenizer.eos_token, tokenizer.stop_ids, tokenizer.chat_template)
    return _digest((facts, _tensors(loaded.model.state_dict())))


def read_checkpoint(folder: Path) -> str:
    from glassmill.errors import UserError
    from glassmill.train.checkpoint import newest_checkpoint

    found = newest_checkpoint(folder)
    if found is None:
        raise UserError("no checkpoint can be read")
    return _digest((found.step, _tensors(found.weights), _tensors(found.optimizer)))


def read_ids(folder: Path) -> str:
    from glassmill.tokens.shards import Shards

    both = [Shards(folder, "train"), Shards(folder, "validation")]
    return _digest([(one.vocab_size, one.eos_id, one.num_bytes, one.ids.tobytes(), one.documents()) for one in both])


def read_gguf(folder: Path) -> str:
    from glassmill.export.importing import import_weights

    out = folder / "imported"
    import_weights(folder / "model.gguf", out, "float32")
    return _loaded(out)


def read_vocabulary(folder: Path) -> str:
    from glassmill.tokens.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder)
    ids = [tokenizer.encode(text).tolist() for text in ("the thing", "été 水\n 12")]
    return _digest((ids, [tokenizer.decode(one) for one in ids], tokenizer.special, tokenizer.eos_token))


def read_recipe(folder: Path) -> str:
    from glassmill.recipe import load_recipe

    return _digest(load_recipe(folder / "mine.toml").model_dump())


def read_jsonl(folder: Path) -> str:
    from glassmill.tune.reading import read_conversations

    return _digest([placed.conversation for placed in read_conversations([str(folder / "talk.jsonl")])])


READERS: dict[str, Callable[[Path], str]] = {
    "checkpoint": read_checkpoint,
    "ids": read_ids,
    "model": _loaded,
    "foreign": _loaded,
    "gguf": read_gguf,
    "blocks": read_gguf,
    "vocabulary": read_vocabulary,
    "recipe": read_recipe,
    "jsonl": read_jsonl,
}
WITHOUT_CHECKSUM = ("foreign", "blocks", "vocabulary", "recipe", "jsonl")


def says_the_same(kind: str, folder: Path) -> bool:
    """Whether a simple reader of the changed file agrees with what was accepted; only weights can be compared so."""
    if kind == "blocks":
        return _blocks_say_the_same(folder)
    if kind != "foreign":
        return True
    from safetensors.torch import load_file

    from glassmill.infer.folder import load_folder

    loaded = load_folder(folder)
    stored: dict[str, Any] = {}
    for file in folder.glob("*.safetensors"):
        stored |= load_file(file)
    config = json.loads((folder / "config.json").read_bytes())
    ours = loaded.model.state_dict()
    return (
        all(name in stored and bool((stored[name].float() == weight).all()) for name, weight in ours.items())
        and all(bool(weight.isfinite().all()) for weight in ours.values())
        and len(config["architectures"]) >= 1
        and config["num_hidden_layers"] == loaded.config.num_layers
        and config["num_attention_heads"] == loaded.config.num_heads
        and loaded.tokenizer.vocab_size <= loaded.config.vocab_size
    )


def _blocks_say_the_same(folder: Path) -> bool:
    """Whether the `gguf` package reads the tensors' shapes and numbers of a changed file as they were imported."""
    import gguf
    import numpy as np

    from glassmill.export.gguf_shape import hf_name, permuted_heads, to_gguf_rows
    from glassmill.infer.folder import load_folder

    loaded = load_folder(folder / "imported")
    ours = {name: weight.numpy() for name, weight in loaded.model.state_dict().items()}
    theirs = {hf_name(one.name): one for one in gguf.GGUFReader(folder / "model.gguf").tensors}
    if theirs.keys() != ours.keys():
        return False
    for name, tensor in theirs.items():
        assert name
        heads = permuted_heads(name, loaded.config)
        mine = to_gguf_rows(ours[name], heads) if heads else ours[name]
        if tuple(int(size) for size in reversed(tensor.shape)) != mine.shape:
            return False
        if not np.array_equal(gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(mine.shape), mine):
            return False
    return True
