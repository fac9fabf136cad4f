"""`glassmill chat`: a conversation in the terminal, token by token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from glassmill.infer.compose import ToolUse
    from glassmill.infer.generate import Message, Model

HELP = "/new starts a new conversation, /undo removes the last turn, /quit or Ctrl-D exits"


def converse(model_path: Path, temperature: float, max_tokens: int, seed: int, system: str | None) -> None:
    """Reads lines from standard input and answers each, keeping the conversation.

    If standard input is not a terminal, there is no prompt and no decoration: one answer per line, for scripts.
    """
    from glassmill.infer.generate import Model

    console = Console(highlight=False)
    person = sys.stdin.isatty()
    if person:
        with console.status(f"loading {model_path}"):
            model = Model.load(model_path)
        console.print(f"[dim]{model_path}: {model.num_parameters:,} parameters. {HELP}.[/dim]")
    else:
        model = Model.load(model_path)
    beginning: list[Message] = [{"role": "system", "content": system}] if system else []
    messages = list(beginning)
    while (line := _ask(console, person)) is not None:
        if line in ("/quit", "/exit"):
            return
        if line == "/new":
            messages = list(beginning)
        elif line == "/undo":
            del messages[max(len(beginning), len(messages) - 2) :]
        elif line.startswith("/"):
            console.print(f"[dim]{HELP}[/dim]")
        elif line:
            messages.append({"role": "user", "content": line})
            messages.append(_answer(model, messages, temperature, max_tokens, seed))


def _ask(console: Console, person: bool) -> str | None:
    try:
        return console.input("[bold green]you  [/bold green] " if person else "").strip()
    except EOFError:
        return None


def _answer(model: Model, messages: list[Message], temperature: float, max_tokens: int, seed: int) -> Message:
    """Prints the answer as it is generated and returns it as a message; Ctrl-C stops it."""
    from glassmill.infer.generate import assistant_message

    said: list[str | ToolUse] = []
    try:
        for part in model.stream_parts(messages, max_tokens=max_tokens, temperature=temperature, seed=seed):
            said.append(part)
            shown = part if isinstance(part, str) else f"[calculator: {part.expression} = {part.result}] "
            sys.stdout.write(shown)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stdout.write(" [stopped]")
    sys.stdout.write("\n")
    return assistant_message(said)
