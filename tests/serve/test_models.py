"""Several models by name: loaded when wanted, never more than allowed, never unloaded under an answer; adapters too."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from safetensors.torch import save_file

from glassmill.errors import ApiError, UserError
from glassmill.infer.folder import load_folder
from glassmill.infer.generate import Model
from glassmill.model.lora import adapter_state, add_lora
from glassmill.serve.api import create_api
from glassmill.serve.models import Models, Source, named_sources
from tests.infer.numpy_decoder import NumpyDecoder

HELLO: Any = [{"role": "user", "content": "hello world"}]


@pytest.fixture(scope="module")
def adapter(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As PEFT saves one: random numbers for the queries and values of the tiny model."""
    folder = tmp_path_factory.mktemp("adapters") / "dialect"
    folder.mkdir()
    model = load_folder(model_folder).model
    add_lora(model, rank=2, alpha=6, targets=("q_proj", "v_proj"))
    generator = torch.Generator().manual_seed(1)
    tensors = {
        f"base_model.model.{n}": torch.randn(t.shape, generator=generator) for n, t in adapter_state(model).items()
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


Opener = Callable[..., Models]


@pytest.fixture
def open_models(model_folder: Path) -> Iterator[Opener]:
    opened: list[Models] = []

    def open_them(names: str = "abc", **options: Any) -> Models:
        sources = {name: Source(model_folder) for name in names}
        opened.append(Models(sources, load=lambda path: Model.load(path, decoder=NumpyDecoder), **options))
        return opened[-1]

    yield open_them
    for models in opened:
        models.close()


def names(models: Models) -> list[str]:
    return sorted(model.name for model in models.loaded())


def test_a_model_is_loaded_once_and_the_longest_unused_makes_room(open_models: Opener) -> None:
    models = open_models(max_loaded=2)
    assert names(models) == []
    with models.held("b") as first, models.held("b") as again:
        assert first is again and first.name == "b"
    with models.held("a"), models.held():
        assert names(models) == ["a", "b"]
    with models.held("c"):
        assert names(models) == ["a", "c"]


def test_what_is_in_use_stays_and_one_more_is_asked_to_come_back(open_models: Opener) -> None:
    models = open_models(max_loaded=1)
    with models.held("a") as model, pytest.raises(ApiError, match="in use") as error:
        models.take("b")
    assert error.value.status == 503 and model.engine.submit([1, 2], greedy()).reply().num_completion_tokens == 3
    with models.held("b"):
        assert names(models) == ["b"]


def greedy() -> Any:
    from glassmill.infer.sampling import SamplingParams

    return SamplingParams(max_tokens=3, temperature=0.0, ignore_eos=True)


def test_idle_models_are_unloaded_and_come_back(open_models: Opener) -> None:
    models = open_models()
    with models.held("a"), models.held("b"):
        pass
    with models.held("a"):
        models.unload_idle(0.0)
        assert names(models) == ["a"]
    models.unload_idle(3600.0)
    assert names(models) == ["a"]
    models.unload_idle(0.0)
    assert names(models) == [] and models.status() == ("waiting", None)
    with models.held("b") as model:
        assert model.name == "b"


def test_many_threads_that_want_one_model_load_it_once(open_models: Opener) -> None:
    models, found = open_models(max_loaded=1), []
    threads = [threading.Thread(target=lambda: found.append(models.take("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(map(id, found))) == 1


def test_two_that_are_loaded_at_once_are_still_no_more_than_allowed(open_models: Opener) -> None:
    models, most = open_models(max_loaded=1), []

    def use(name: str) -> None:
        for _ in range(3):
            with contextlib.suppress(ApiError), models.held(name):
                most.append(len(models.loaded()))

    threads = [threading.Thread(target=use, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_the_api_lists_all_and_answers_with_the_one_that_is_named(open_models: Opener, start_server: Any) -> None:
    models = open_models("ab", max_loaded=1)
    server = start_server(create_api(models))
    try:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["a", "b"] and names(models) == []
            for name in "aba":
                ask: Any = {"model": name, "messages": HELLO, "max_tokens": 3}
                assert client.chat.completions.create(**ask).model == name and names(models) == [name]
                assert {chunk.model for chunk in client.chat.completions.create(**ask, stream=True)} == {name}
            with pytest.raises(openai.NotFoundError, match="'a', 'b'"):
                client.chat.completions.create(model="c", messages=HELLO)
        stream = httpx.stream(
            "POST", f"{server.url}/v1/completions", json={"prompt": "a", "stream": True, "model": "a"}
        )
        with stream as answer:
            next(answer.iter_lines())
        assert httpx.post(f"{server.url}/v1/completions", json={"prompt": "a", "model": "b"}).status_code == 200
    finally:
        server.stop()


def test_an_adapter_says_what_the_base_with_its_layers_says(
    model_folder: Path, adapter: Path, start_server: Any
) -> None:
    def here(path: str) -> Path:
        return Path(path)

    sources = named_sources([f"base={model_folder}"], [str(adapter)], here)
    assert sources["dialect"].parent == "base"
    models = Models(sources)
    with models.held("dialect") as merged, models.held("base") as base:
        plain, reference = load_folder(model_folder).model, load_folder(model_folder).model
        add_lora(reference, rank=2, alpha=6, targets=("q_proj", "v_proj"))
        state = {f"base_model.model.{name}": tensor for name, tensor in adapter_state(reference).items()}
        from safetensors.torch import load_file

        for name, tensor in load_file(adapter / "adapter_model.safetensors").items():
            state[name].data.copy_(tensor)
        ids = base.chat_ids(HELLO)
        with torch.inference_mode():
            wanted, other = (one(torch.tensor([ids]))[0].numpy() for one in (reference, plain))
        assert abs(merged.logits(ids) - wanted).max() < 1e-3 < abs(wanted - other).max()
        folder = merged.path
        assert folder.is_dir()
    models.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("config", "tensors", "message"),
    [
        ({"use_dora": True}, {}, "use_dora = True"),
        ({"modules_to_save": ["lm_head"]}, {}, "modules_to_save"),
        ({"peft_type": "IA3"}, {}, "only LORA"),
        ({"lora_alpha": "8"}, {}, "must be a number"),
        ({}, {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.ones(2, 32)}, "only one half"),
        ({}, {"base_model.model.model.embed_tokens.weight": torch.ones(2, 2)}, "no part of a LoRA"),
        (
            {},
            {f"model.layers.0.self_attn.q_proj.lora_{half}.weight": torch.ones(3, 3) for half in "AB"},
            "does not fit",
        ),
        ({}, {f"model.norm.lora_{half}.weight": torch.ones(2, 2) for half in "AB"}, "no layer of this model"),
    ],
)
def test_what_is_no_plain_lora_of_this_model_is_refused(
    model_folder: Path, adapter: Path, tmp_path: Path, config: Any, tensors: Any, message: str
) -> None:
    folder = shutil.copytree(adapter, tmp_path / "bad")
    known = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(known | config))
    if tensors:
        save_file(tensors, folder / "adapter_model.safetensors")
    models = Models({"bad": Source(model_folder, folder)})
    with pytest.raises(UserError, match=message):
        models.take()
    assert models.status()[0] == "failed"
    models.close()


def test_names_on_the_command_line_are_given_once(model_folder: Path, adapter: Path, tmp_path: Path) -> None:
    path = str(model_folder)
    assert list(named_sources([path, f"other={path}"], (), Path)) == ["tiny", "other"]
    with pytest.raises(UserError, match="two models are called 'tiny'"):
        named_sources([path, path], (), Path)
    with pytest.raises(UserError, match="no PEFT folder"):
        named_sources([path], [f"x={tmp_path}"], Path)
