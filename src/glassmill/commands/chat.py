"""`glassmill chat`: a conversation in the terminal, token by token.

Nothing that is asked ends it. When the context is full, the oldest questions leave with their answers, and a note says
so; a question that cannot be answered gets one line and is forgotten. Ctrl-C stops an answer, which stays.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from glassmill.commands.questions import Typed, piped
from glassmill.errors import GlassmillError
from glassmill.printable import printable
from glassmill.run.files import cache_folder

if TYPE_CHECKING:
    from glassmill.commands.markdown import MarkdownStream
    from glassmill.infer.compose import FinishReason, ToolUse
    from glassmill.infer.generate import Message, Model
    from glassmill.infer.grounding import Documents, Grounded

HELP = """\
/new starts a new conversation, /undo removes the last turn, /retry answers it again, /more continues the last answer
/system [TEXT] shows or sets the system message, /temp [NUMBER] the temperature, /plain shows answers as they are
/save FILE and /load FILE keep a conversation as JSON, /stats says how fast it was, /quit or Ctrl-D exits
Ctrl-C stops an answer; a line that ends in \\ goes on, and three quotation marks begin and end a text of many lines"""
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What a model must not send to a terminal: the start of an escape sequence, a bell, a carriage return."""


def converse(
    model_path: Path,
    temperature: float,
    max_tokens: int,
    seed: int,
    system: str | None,
    question: str | None = None,
    documents: Documents | None = None,
) -> bool:
    """Reads questions from standard input and answers each, keeping the conversation.

    If standard input is not a terminal, standard output has the answers only, one after the other, and an empty line
    for a question that could not be answered; every remark goes to standard error.

    Args:
        model_path: The model.
        temperature, max_tokens, seed, system: How it answers.
        question: Answer only this one, about what is piped in, if anything is.
        documents: Answer from these.

    Returns:
        Whether `question` was answered.
    """
    from glassmill.infer.generate import Model

    person = sys.stdin.isatty() and question is None
    console = Console(highlight=False, stderr=not person)
    if person:
        with console.status(f"loading {model_path}"):
            model = Model.load(model_path)
        console.print(f"[dim]{model_path}: {model.num_parameters:,} parameters. /help lists the commands.[/dim]")
    else:
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        model = Model.load(model_path)
    talk = Talk(model, console, person, temperature, max_tokens, seed, system, documents)
    model.chat_ids([*talk.messages, {"role": "user", "content": "?"}])  # a model without a chat template ends here
    if question is not None:
        about = "" if sys.stdin.isatty() else sys.stdin.read().strip()
        return talk.ask(f"{question}\n\n{about}" if about else question)
    typed = Typed(cache_folder() / "chat_history") if person else None
    try:
        while (line := typed.next() if typed else piped()) is not None and line not in ("/quit", "/exit"):
            if line.startswith("/"):
                command(talk, line)
            elif line:
                talk.ask(line)
    finally:
        if typed:
            typed.save()
    return True


def command(talk: Talk, line: str) -> None:
    """Do what a line that begins with a slash says; one that means nothing gets the help."""
    name, _, rest = line.partition(" ")
    plain = {"/new": talk.begin, "/undo": talk.undo, "/retry": talk.retry, "/more": talk.more, "/stats": talk.tell}
    told = {"/system": talk.system, "/temp": talk.warm, "/save": talk.save, "/load": talk.load}
    if name in plain and not rest:
        plain[name]()
    elif name in told:
        told[name](rest.strip())
    elif line == "/plain":
        talk.markdown = not talk.markdown
        talk.remark("answers are shown " + ("as Markdown" if talk.markdown else "as they are"))
    else:
        talk.remark(HELP)


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
        documents: Documents | None = None,
    ) -> None:
        self.documents = documents
        self.model, self.console, self.person = model, console, person
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        self.markdown = person and sys.stdout.isatty()
        self.beginning: list[Message] = [{"role": "system", "content": system}] if system else []
        self.speed = "nothing was answered yet"
        self.begin()

    def begin(self) -> None:
        """Forget everything but the system message."""
        self.messages = list(self.beginning)
        self.ended: FinishReason = "stop"

    def undo(self) -> None:
        """Forget the last question and its answer."""
        del self.messages[max(len(self.beginning), len(self.messages) - 2) :]
        self.ended = "stop"

    def ask(self, question: str) -> bool:
        """Answer `question`; if that fails, say why, and forget the question. Whether it was answered."""
        return self._answer([*self.messages, {"role": "user", "content": question}])

    def retry(self) -> None:
        """Answer the last question again, with other random numbers."""
        asked = [number for number, message in enumerate(self.messages) if message["role"] == "user"]
        if not asked:
            self.remark("there is nothing to answer again")
            return
        if self.temperature == 0:
            self.remark("at temperature 0 the answer is always the same; /temp 0.8 makes it vary")
        self.seed += 1
        self._answer(self.messages[: asked[-1] + 1])

    def more(self) -> None:
        """Continue the last answer, if it was cut or stopped."""
        if self.ended == "stop":
            self.remark("there is nothing to continue: no answer was cut")
            return
        if self.documents:
            self.remark("an answer from documents is not continued; ask again with a larger --max-tokens")
            return
        self._answer(self.messages)

    def system(self, text: str) -> None:
        """Show the system message, or put another one in its place; what was said stays."""
        if text:
            said = self.messages[len(self.beginning) :]
            self.beginning = [{"role": "system", "content": text}]
            self.messages = [*self.beginning, *said]
        shown = str(self.beginning[0]["content"]) if self.beginning else "there is no system message"
        self.remark(shown.translate(_CONTROLS))

    def warm(self, number: str) -> None:
        """Show the temperature, or set it."""
        try:
            wanted = float(number or self.temperature)
        except ValueError:
            wanted = -1.0
        if not 0 <= wanted <= 2:
            self.remark(f"/temp {number}: give a number from 0 to 2")
            return
        self.temperature = wanted
        self.remark(f"temperature {wanted:g}")

    def save(self, name: str) -> None:
        """Write the conversation to a new file."""
        if not name:
            self.remark("/save FILE: give a file")
            return
        try:
            with Path(name).expanduser().open("x", encoding="utf-8") as file:
                json.dump({"messages": self.messages}, file, indent=1, ensure_ascii=False)
        except (OSError, ValueError) as error:
            self.remark(f"/save {name}: {getattr(error, 'strerror', None) or error}")
            return
        self.remark(f"{name}: {len(self.messages)} messages")

    def load(self, name: str) -> None:
        """Go on with a conversation from a file."""
        try:
            messages = json.loads(Path(name).expanduser().read_text(encoding="utf-8"))["messages"]
            self.model.chat_ids([*messages, {"role": "user", "content": "?"}])
            beginning = [message for message in messages[:1] if message["role"] == "system"]
        except OSError as error:
            self.remark(f"/load {name}: {error.strerror}")
        except Exception as error:  # a file of any form; the model's template reads it first
            self.remark(f"/load {name}: no conversation of this model ({error})")
        else:
            self.beginning, self.messages, self.ended = beginning, messages, "stop"
            self.remark(f"{name}: {len(messages)} messages")

    def tell(self) -> None:
        """How fast the last answer was, and what the engine was spared."""
        stats = self.model.engine.stats()
        self.remark(self.speed)
        self.remark(
            f"prompts: {stats.prefix_tokens:,} of {stats.prompt_tokens:,} tokens were known; guesses: "
            f"{stats.accepted_tokens:,} of {stats.drafted_tokens:,} were right; {stats.new_tokens:,} tokens in all"
        )

    def remark(self, text: str) -> None:
        """One line that is not part of the conversation."""
        self.console.print(text, style="dim", markup=False, soft_wrap=True)

    def _answer(self, messages: list[Message]) -> bool:
        """Print the answer as it is generated and keep it; if the last message is an answer, go on with that."""
        from glassmill.infer.generate import answer_params, assistant_message

        grounded = None
        said: list[str | ToolUse] = []
        ended: FinishReason = "cancelled"
        start, first = time.perf_counter(), 0.0
        try:
            if self.documents is not None:
                grounded = self.documents.ground(self.model, messages, self.max_tokens)
            if grounded is not None and not grounded.hits:
                return self._say_nothing(messages)
            read = grounded.messages if grounded else messages
            fitted = self.model.fit(read, self.max_tokens, continue_last=True)
            if fitted.turns_left:
                turns = "question leaves" if fitted.turns_left == 1 else f"{fitted.turns_left} questions leave"
                self.remark(f"[the context of {self.model.engine.max_length} tokens is full: the oldest {turns} it]")
            params = answer_params(self.max_tokens, {"temperature": self.temperature, "seed": self.seed})
            params = replace(params, continues=messages[-1]["role"] == "assistant")
            if grounded and grounded.grammar:
                params = replace(params, grammar=grounded.grammar, tools=False)
            with self._screen() as screen:
                completion = self.model.engine.submit(fitted.ids, params)
                try:
                    for delta in completion:
                        first = first or time.perf_counter() - start
                        if delta.tool is not None:
                            said.append(delta.tool)
                            self._write(f"[calculator: {delta.tool.expression} = {delta.tool.result}] ", screen)
                        if delta.text:
                            said.append(delta.text)
                            self._write(delta.text, screen)
                        ended = delta.finish_reason or ended
                except KeyboardInterrupt:
                    if screen is None:
                        self._write(" [stopped]")
        except KeyboardInterrupt:  # before there was anything to stop
            self.remark("[stopped]")
            return False
        except Exception as error:  # whatever it is, the conversation goes on
            if said or not self.person:
                self._write("\n")
            told = str(error) if isinstance(error, GlassmillError) else f"the model failed: {error!r}"
            self.remark(f"not answered: {told}")
            return False
        if not self.markdown:
            self._write("\n")
        elif ended == "cancelled":
            self.remark("[stopped]")
        if not said and ended == "cancelled":
            return False
        *kept, last = [*fitted.messages[:-1], messages[-1]]  # without the passages: the next question has its own
        self.messages = [*kept, last, assistant_message(said)]
        if last["role"] == "assistant":
            begun = last["content"]  # a text where the conversation was loaded
            parts = [{"type": "text", "text": begun}] if isinstance(begun, str) else begun
            self.messages = [*kept, {**last, "content": [*parts, *assistant_message(said)["content"]]}]
        self.ended = ended
        rate = (completion.num_tokens - 1) / max(time.perf_counter() - start - first, 1e-9)
        self.speed = f"{completion.num_tokens} tokens, {rate:,.0f} tokens/s, the first after {first:.2f} s"
        if grounded:
            self._cite(grounded, "".join(part for part in said if isinstance(part, str)))
        self._tell_end(len(fitted.ids) + completion.num_tokens, completion.num_tokens)
        return True

    def _say_nothing(self, messages: list[Message]) -> bool:
        """Answer that the documents do not."""
        from glassmill.infer.generate import assistant_message
        from glassmill.infer.grounding import NOTHING

        self._write(f"{NOTHING}\n")
        self.messages, self.ended = [*messages, assistant_message([NOTHING])], "stop"
        return True

    def _cite(self, grounded: Grounded, said: str) -> None:
        """Which passages hold the answer."""
        cited = grounded.citations(said)
        for citation in cited:
            share = "" if citation.support == 1 else f" ({citation.support:.0%} of the answer's words)"
            self.remark(f"[from {printable(citation.hit.place)}{share}]")
        if not cited:
            self.remark("[no passage of the documents has enough of this answer's words: do not rely on it]")

    @contextmanager
    def _screen(self) -> Iterator[MarkdownStream | None]:
        """Where an answer is drawn: as Markdown, or, with `None`, as it comes."""
        if not self.markdown:
            yield None
            return
        from glassmill.commands.markdown import MarkdownStream

        with MarkdownStream(self.console) as stream:
            yield stream

    def _tell_end(self, used: int, made: int) -> None:
        """Speed and context meter, for people, and why the answer is not whole."""
        length = self.model.engine.max_length
        if self.ended == "length":
            limit = f"at the limit of {self.max_tokens} token{'s' * (self.max_tokens != 1)} (--max-tokens)"
            cut = f"cut {limit if made == self.max_tokens else f'because the context of {length} tokens is full'}"
            self.remark(f"[{cut}; /more continues the answer]")
        if self.person:
            self.remark(f"[{self.speed}; context: {used} of {length} tokens]")

    def _write(self, text: str, screen: MarkdownStream | None = None) -> None:
        text = text.translate(_CONTROLS) if self.person else text
        if screen is not None:
            screen.write(text)
            return
        sys.stdout.write(text)
        sys.stdout.flush()
