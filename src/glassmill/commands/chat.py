"""`glassmill chat`: a conversation in the terminal, token by token.

Nothing that is asked ends it. When the context is full, the oldest questions leave with their answers, and a note says
so; a question that cannot be answered gets one line and is forgotten.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from glassmill.errors import GlassmillError

if TYPE_CHECKING:
    from glassmill.infer.compose import FinishReason, ToolUse
    from glassmill.infer.generate import Message, Model

HELP = (
    "/new starts a new conversation, /undo removes the last turn, /more continues the last answer, "
    "/quit or Ctrl-D exits"
)
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What a model must not send to a terminal: the start of an escape sequence, a bell, a carriage return."""


def converse(model_path: Path, temperature: float, max_tokens: int, seed: int, system: str | None) -> None:
    """Reads lines from standard input and answers each, keeping the conversation.

    If standard input is not a terminal, standard output has the answers only, one after the other, and an empty line
    for a question that could not be answered; every remark goes to standard error.
    """
    from glassmill.infer.generate import Model

    person = sys.stdin.isatty()
    console = Console(highlight=False, stderr=not person)
    if person:
        with console.status(f"loading {model_path}"):
            model = Model.load(model_path)
        console.print(f"[dim]{model_path}: {model.num_parameters:,} parameters. {HELP}.[/dim]")
    else:
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        model = Model.load(model_path)
    talk = Talk(model, console, person, temperature, max_tokens, seed, system)
    model.chat_ids([*talk.messages, {"role": "user", "content": "?"}])  # a model without a chat template ends here
    while (line := _ask(console, person)) is not None:
        if line in ("/quit", "/exit"):
            return
        if line == "/new":
            talk.begin()
        elif line == "/undo":
            talk.undo()
        elif line == "/more":
            talk.more()
        elif line.startswith("/"):
            talk.remark(HELP)
        elif line:
            talk.ask(line)


def _ask(console: Console, person: bool) -> str | None:
    try:
        return (console.input("[bold green]you  [/bold green] ") if person else input()).strip().lstrip("\ufeff")
    except EOFError:
        return None


class Talk:
    """A conversation with a model: what was said, and how the next answer is drawn."""

    def __init__(
        self,
        model: Model,
        console: Console,
        person: bool,
        temperature: float,
        max_tokens: int,
        seed: int,
        system: str | None,
    ) -> None:
        self.model, self.console, self.person = model, console, person
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        self.beginning: list[Message] = [{"role": "system", "content": system}] if system else []
        self.begin()

    def begin(self) -> None:
        """Forget everything but the system message."""
        self.messages = list(self.beginning)
        self.ended: FinishReason = "stop"

    def undo(self) -> None:
        """Forget the last question and its answer."""
        del self.messages[max(len(self.beginning), len(self.messages) - 2) :]
        self.ended = "stop"

    def ask(self, question: str) -> None:
        """Answer `question`; if that fails, say why, and forget the question."""
        self._answer([*self.messages, {"role": "user", "content": question}])

    def more(self) -> None:
        """Continue the last answer, if it was cut or stopped."""
        if self.ended == "stop":
            self.remark("there is nothing to continue: no answer was cut")
            return
        self._answer(self.messages)

    def remark(self, text: str) -> None:
        """One line that is not part of the conversation."""
        self.console.print(text, style="dim", markup=False, soft_wrap=True)

    def _answer(self, messages: list[Message]) -> None:
        """Print the answer as it is generated and keep it; if the last message is an answer, go on with that."""
        from glassmill.infer.generate import answer_params, assistant_message

        said: list[str | ToolUse] = []
        ended: FinishReason = "cancelled"
        try:
            fitted = self.model.fit(messages, self.max_tokens, continue_last=True)
            if fitted.turns_left:
                turns = "question leaves" if fitted.turns_left == 1 else f"{fitted.turns_left} questions leave"
                self.remark(f"[the context of {self.model.engine.max_length} tokens is full: the oldest {turns} it]")
            params = answer_params(self.max_tokens, {"temperature": self.temperature, "seed": self.seed})
            params = replace(params, continues=messages[-1]["role"] == "assistant")
            completion = self.model.engine.submit(fitted.ids, params)
            try:
                for delta in completion:
                    if delta.tool is not None:
                        said.append(delta.tool)
                        self._write(f"[calculator: {delta.tool.expression} = {delta.tool.result}] ")
                    if delta.text:
                        said.append(delta.text)
                        self._write(delta.text)
                    ended = delta.finish_reason or ended
            except KeyboardInterrupt:
                self._write(" [stopped]")
        except Exception as error:  # whatever it is, the conversation goes on
            if said or not self.person:
                self._write("\n")
            told = str(error) if isinstance(error, GlassmillError) else f"the model failed: {error!r}"
            self.remark(f"not answered: {told}")
            return
        self._write("\n")
        if not said and ended == "cancelled":
            return
        *kept, last = fitted.messages
        self.messages = [*kept, last, assistant_message(said)]
        if last["role"] == "assistant":
            self.messages = [*kept, {**last, "content": [*last["content"], *assistant_message(said)["content"]]}]
        self.ended = ended
        self._tell_end(len(fitted.ids) + completion.num_tokens, completion.num_tokens)

    def _tell_end(self, used: int, made: int) -> None:
        """The context meter, for people, and why the answer is not whole."""
        length = self.model.engine.max_length
        if self.ended == "length":
            limit = f"at the limit of {self.max_tokens} tokens (--max-tokens)"
            cut = f"cut {limit if made == self.max_tokens else f'because the context of {length} tokens is full'}"
            self.remark(f"[{cut}; /more continues the answer]")
        if self.person:
            self.remark(f"[context: {used} of {length} tokens]")

    def _write(self, text: str) -> None:
        sys.stdout.write(text.translate(_CONTROLS) if self.person else text)
        sys.stdout.flush()
