"""The calculator: the one tool a glassmill model may call.

In: the text a model wrote between `<|tool_call|>` and `<|tool_result|>`. Out: the result as text, which the engine
inserts into the answer. A small parser over exact fractions: no `eval`, no names, and bounds on length, nesting and
size, because the expression comes from a model and, through it, from its users.

    sum     = term { ("+" | "-") term }
    term    = factor { ("*" | "/" | "//" | "%") factor }
    factor  = ("+" | "-") factor | power
    power   = atom [ "**" factor ]
    atom    = number | "(" sum ")"
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_CHARACTERS = 200
MAX_DEPTH = 40
MAX_BITS = 256
"""Largest numerator or denominator on the way: about 77 decimal digits."""
DECIMALS = 10
"""Digits kept after the point where a result has no finite decimal form."""

_TOKEN = re.compile(r"\s*(?:(\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+)|(\*\*|//|[-+*/%()]))", re.ASCII)
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "\x00"})


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, exact where a finite decimal exists, else to ten decimals.

    >>> calculate("12*7"), calculate("0.1 + 0.2"), calculate("2/3"), calculate("1,200 - 50%7")
    ('84', '0.3', '0.6666666667', '1199')

    Raises:
        ValueError: not an expression, a division by zero, or larger than the bounds allow.
    """
    if len(expression) > MAX_CHARACTERS:
        raise ValueError(f"expression longer than {MAX_CHARACTERS} characters")
    parser = _Parser(_tokens(expression.translate(_SPELLINGS).replace("\x00", "**")))
    value = parser.sum(0)
    if parser.next is not None:
        raise ValueError(f"unexpected {parser.next!r}")
    return _text(value)


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    position, end = 0, len(expression.rstrip(" =\t\n"))  # a model may end with "="
    while position < end:
        match = _TOKEN.match(expression, position, end)
        if match is None:
            raise ValueError(f"unexpected {expression[position : position + 10].strip()!r}")
        tokens.append(match[0].strip().replace(",", ""))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent, one method a line of the grammar above."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self) -> str:
        if self.next is None:
            raise ValueError("expression ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def sum(self, depth: int) -> Fraction:
        value = self.term(depth)
        while self.next in ("+", "-"):
            operator, right = self.take(), self.term(depth)
            value = _bounded(value + right if operator == "+" else value - right)
        return value

    def term(self, depth: int) -> Fraction:
        value = self.factor(depth)
        while self.next in ("*", "/", "//", "%"):
            operator, right = self.take(), self.factor(depth)
            if operator != "*" and right == 0:
                raise ValueError("division by zero")
            if operator == "*":
                value = _bounded(value * right)
            elif operator == "/":
                value = _bounded(value / right)
            else:
                value = _bounded(Fraction(value // right) if operator == "//" else value % right)
        return value

    def factor(self, depth: int) -> Fraction:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self.next in ("+", "-"):
            sign, value = self.take(), self.factor(depth + 1)
            return -value if sign == "-" else value
        return self.power(depth)

    def power(self, depth: int) -> Fraction:
        base = self.atom(depth)
        if self.next != "**":
            return base
        self.take()
        return _power(base, self.factor(depth + 1))

    def atom(self, depth: int) -> Fraction:
        token = self.take()
        if token == "(":
            value = self.sum(depth + 1)
            if self.next != ")":
                raise ValueError("a bracket is not closed")
            self.take()
            return value
        if token[0].isdigit() or token[0] == ".":
            return _bounded(Fraction(token))
        raise ValueError(f"unexpected {token!r}")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """`base ** exponent`, refused before it is computed where it would be too large."""
    if exponent.denominator != 1:
        raise ValueError("only whole exponents")
    if base == 0 and exponent < 0:
        raise ValueError("division by zero")
    size = max(abs(base.numerator), base.denominator)
    if abs(exponent.numerator) * (size.bit_length() - 1) > MAX_BITS:
        raise ValueError("number too large")
    if size == 1:  # -1, 0, 1: any exponent is cheap once it is made small
        return base ** (abs(exponent.numerator) % 2 + 2 * (exponent != 0))
    return _bounded(base**exponent.numerator)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ValueError("number too large")
    return value


def _text(value: Fraction) -> str:
    """A whole number as one, a finite decimal of at most `DECIMALS` digits in full, anything else rounded half up."""
    scaled = abs(value) * 10**DECIMALS
    rounded = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    whole, fraction = divmod(rounded, 10**DECIMALS)
    digits = f"{whole}.{fraction:0{DECIMALS}d}".rstrip("0").rstrip(".")
    return f"-{digits}" if value < 0 and rounded else digits
