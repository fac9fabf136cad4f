"""Jinja as transformers sets it up (same filters, functions and extensions), for plain and for `Marked` strings.

Source: transformers 5, `utils/chat_template_utils.py`. A template is untrusted code: Jinja's immutable sandbox keeps it
from Python's internals, and the process around it (`child.py`) from time and memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glassmill.tokens.templates.marked import STAND_IN, Alphabet, Marked, plain

WHOLE = {"center", "e", "escape", "forceescape", "indent", "striptags", "title", "truncate", "urlencode", "urlize"}
WHOLE |= {"wordwrap", "pprint", "xmlattr"}
"""Filters that look into a text letter by letter: what they make of a marked one is marked as a whole."""
ASKING = ("int", "float", "wordcount", "filesizeformat", "abs", "round", "length", "count")
"""Filters that make a number of a text."""


class Namespace(jinja2.utils.Namespace):
    """`namespace(...)` without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, rest = args[0], args[1:]
        names = dict(*rest, **kwargs)
        for name in names:
            _check_name(name)
        jinja2.utils.Namespace.__init__(self, names)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace cannot have the attribute {name!r}")


class _Dict:
    """`dict(...)` and `dict.fromkeys(...)`, without the type itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class Generation(Extension):
    """`{% generation %}...{% endgeneration %}`: what the assistant writes, as positions in the rendered text."""

    tags = {"generation"}  # noqa: RUF012

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.blocks: list[str] = []
        self.spans: list[tuple[int, int]] = []

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        text = caller()
        start = sum(map(len, self.blocks))
        self.spans.append((start, start + len(text)))
        return text


class _Code(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox. While `alphabet` is set, strings that lose their type get it back after every operation."""

    code_generator_class = _Code
    intercepted_binops = frozenset({"+", "%", "*"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
        self.alphabet: Alphabet | None = None
        self.now = datetime.now()
        self.filters["tojson"] = self._to_json
        self.filters = {name: self._remarking(name, function) for name, function in self.filters.items()}
        self.globals["raise_exception"] = _refuse
        self.globals["strftime_now"] = lambda form: self.now.strftime(form)
        self.globals["dict"] = _Dict()
        self.globals["namespace"] = Namespace
        generation = self.extensions[Generation.identifier]
        assert isinstance(generation, Generation)
        self.generation = generation

    def wrapped(self, value: Any) -> Any:
        """`value`, as a `Marked` string if it is one that lost its type."""
        return value if self.alphabet is None else self.alphabet.wrap(value)

    def concat(self, parts: Iterable[str]) -> str:
        """What macros, set blocks and whole templates are put together with."""
        return str(self.wrapped("".join(parts)))

    def joined(self, parts: Iterable[Any]) -> str:
        """The operator `~`."""
        return self.concat(map(str, parts))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        return self.wrapped(super().call_binop(context, operator, left, right))

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        receiver = getattr(__obj, "__self__", None)
        if type(receiver) is str and __self.alphabet is not None and any(isinstance(one, Marked) for one in args):
            __obj = getattr(Marked(receiver, __self.alphabet), __obj.__name__)
        return __self.wrapped(super().call(__context, __obj, *args, **kwargs))

    def _remarking(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The filter, for marked strings too. Jinja's own first arguments (`pass_context`, ...) stay in front."""
        place = int(hasattr(function, "jinja_pass_arg"))

        @wraps(function)
        def remarked(*args: Any, **kwargs: Any) -> Any:
            if self.alphabet is None or len(args) <= place:
                return function(*args, **kwargs)
            value = args[place]
            if name in ASKING and isinstance(value, Marked):
                return function(*args[:place], value.plain, *args[place + 1 :], **kwargs)
            if name in WHOLE and isinstance(plain(value), str | dict | list) and _holds_marked(value):
                made = function(*args[:place], *map(plain, args[place:]), **kwargs)
                return self.alphabet.marked(str(made), _origin(self.alphabet, value))
            if name == "replace" and type(value) is str:
                args = (*args[:place], Marked(value, self.alphabet), *args[place + 1 :])
            return self.wrapped(function(*args, **kwargs))

        return remarked

    def _to_json(
        self, value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None,
        sort_keys: bool = False,
    ) -> str:  # fmt: skip
        """As transformers does it: no HTML escapes."""
        options: dict[str, Any] = {"indent": indent, "separators": separators, "sort_keys": sort_keys}
        if self.alphabet is None:
            return json.dumps(value, ensure_ascii=ensure_ascii, **options)
        escaped = _escaped(value, self.alphabet, ensure_ascii)
        text = json.dumps(escaped, ensure_ascii=False, **options)
        if not ensure_ascii:
            return text
        return "".join(char if char >= STAND_IN else json.dumps(char)[1:-1] if char > "\x7f" else char for char in text)


def _escaped(value: Any, alphabet: Alphabet, ensure_ascii: bool) -> Any:
    """`value` with its marked strings spelled as JSON spells them."""
    if isinstance(value, Marked):
        out = []
        for char, origin in zip(value.plain, alphabet.origins(value), strict=True):
            spelled = json.dumps(char, ensure_ascii=ensure_ascii)[1:-1]
            out += [alphabet.stand_in(one, origin) for one in spelled] if origin else [char]
        return "".join(out)
    if isinstance(value, Mapping):
        return {
            _escaped(key, alphabet, ensure_ascii): _escaped(one, alphabet, ensure_ascii) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_escaped(one, alphabet, ensure_ascii) for one in value]
    return value


def _holds_marked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_marked, value.keys())) or any(map(_holds_marked, value.values()))
    return isinstance(value, Marked) or (isinstance(value, list | tuple) and any(map(_holds_marked, value)))


def _origin(alphabet: Alphabet, value: Any) -> int:
    if isinstance(value, Marked):
        return next(filter(None, alphabet.origins(value)), 1)
    return 1


def _refuse(message: Any) -> None:
    raise jinja2.TemplateError(str(plain(message)))
