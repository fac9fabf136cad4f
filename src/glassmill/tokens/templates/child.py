"""The process that renders templates: one JSON line in, one out, until its input ends.

It is started by `glassmill.tokens.template`, and bounds its own CPU time and memory for each request. A template that
exceeds them ends in an error, and the process with it; the next request gets a new one.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes

from glassmill.tokens.templates.environment import Environment
from glassmill.tokens.templates.marked import ANSWERS, ASSISTANT, OTHER, SILENT, Alphabet

try:
    import resource
except ImportError:  # Windows: only the parent's clock bounds a rendering
    resource = None  # type: ignore[assignment]

CPU_S = 1.0
MEMORY_BYTES = 150_000_000
ROLES = {"system", "developer", "user", "assistant", "tool", "function", "ipython"}
"""A role is the template's word, which it may make a control token of; any other is a text like the rest."""

Request = dict[str, Any]


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        _limit(float(request.get("size", 0)))
        try:
            answer, healthy = _answer(request), True
        except (SystemExit, MemoryError) as error:
            what = "too much memory" if isinstance(error, MemoryError) else "too long"
            answer, healthy = {"error": f"the model's chat template failed: it takes {what}", "last": True}, False
        except RecursionError:
            answer, healthy = {"error": "the model's chat template failed: it is nested too deeply"}, True
        _unlimit()
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
        if not healthy:
            return


def _limit(size: float) -> None:
    if resource is None:
        return
    seconds = CPU_S + size / 1e6
    soft = int(time.process_time() + seconds) + 1  # kills where the signal below comes too late: inside one C call
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    resource.setrlimit(resource.RLIMIT_AS, (int(MEMORY_BYTES + 60 * size), resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _unlimit() -> None:
    if resource is not None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[1],) * 2)


def _out_of_time(number: int, frame: object) -> None:
    raise SystemExit  # no `except Exception` of a library catches it


def _answer(request: Request) -> dict[str, Any]:
    try:
        template = _compiled(request["template"])
    except jinja2.TemplateError as error:
        where = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        return {"error": f"the model's chat template is not valid Jinja: {_line(error)}{where}"}
    if request.get("check"):
        return {"unknown": _unknown_functions(request["template"])}
    try:
        return render(template, request)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # whatever untrusted code raises
        return {"error": f"the model's chat template failed: {_line(error)}"}


def render(template: jinja2.Template, request: Request) -> dict[str, Any]:
    """The rendered text, the origin of its characters as `[length, origin]` runs, and the generation blocks' spans.

    It is rendered twice: with plain strings, which is what transformers does, and with marked ones. If the two differ,
    the template takes texts apart in a way that loses track of them, and nothing is guessed.
    """
    environment = template.environment
    assert isinstance(environment, Environment)
    environment.now = datetime.now()
    environment.alphabet = None
    random.seed(0)
    text = template.render(_variables(request, None))
    alphabet = Alphabet()
    generation = environment.generation
    blocks: list[str] = []
    spans: list[tuple[int, int]] = []
    generation.blocks, generation.spans = blocks, spans
    environment.alphabet = alphabet
    random.seed(0)
    try:
        for block in template.generate(_variables(request, alphabet)):
            blocks.append(block)
    finally:
        environment.alphabet = None
    stand_ins = "".join(blocks)
    if alphabet.plain(stand_ins) != text:
        return {"error": "the model's chat template takes message contents apart; glassmill cannot render it safely"}
    answer = {"text": text, "origins": _runs(alphabet.origins(stand_ins)), "generation": spans}
    return answer | ({"opening": _opening(template, request, text)} if request.get("with_opening") else {})


def _opening(template: jinja2.Template, request: Request, text: str) -> str:
    """What the template writes where an answer is to follow; empty if that is not simply added."""
    try:
        opened = template.render(_variables({**request, "add_generation_prompt": True}, None))
    except jinja2.TemplateError:
        return ""
    return opened[len(text) :] if opened.startswith(text) else ""


def _variables(request: Request, alphabet: Alphabet | None) -> dict[str, Any]:
    answers = 0
    messages = []
    for number, message in enumerate(request["messages"]):
        written = message.get("role") == "assistant"
        first = SILENT if number in request.get("silent", ()) else ASSISTANT
        origin = first + answers % ANSWERS if written else OTHER
        answers += written
        known = message.get("role") in ROLES
        messages.append(
            {
                key: value if key == "role" and known else _marked(value, origin, alphabet)
                for key, value in message.items()
            }
        )
    others = {key: _marked(request.get(key), OTHER, alphabet) for key in ("tools", "documents")}
    options = {key: _marked(value, OTHER, alphabet) for key, value in request.get("options", {}).items()}
    fixed = {"messages": messages, "add_generation_prompt": request["add_generation_prompt"]}
    return {**request["names"], **options, **others, **fixed}


def _marked(value: Any, origin: int, alphabet: Alphabet | None) -> Any:
    if alphabet is None:
        return value
    if isinstance(value, str):
        return alphabet.marked(value, origin)
    if isinstance(value, dict):
        return {_marked(key, origin, alphabet): _marked(one, origin, alphabet) for key, one in value.items()}
    if isinstance(value, list):
        return [_marked(one, origin, alphabet) for one in value]
    return value


def _runs(origins: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for origin in origins:
        if runs and runs[-1][1] == origin:
            runs[-1][0] += 1
        else:
            runs.append([1, origin])
    return runs


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    return Environment().from_string(template)


def _unknown_functions(source: str) -> list[str]:
    """Functions that the template calls and nobody defines."""
    environment = Environment()
    tree = environment.parse(source)
    undefined = meta.find_undeclared_variables(tree) - environment.globals.keys()
    called = {call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)}
    return sorted(called & undefined)


def _line(error: Exception) -> str:
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return " ".join(text.split())[:300] or type(error).__name__
