"""What the tests of the exercises share."""

from collections.abc import Callable
from typing import Any


def gives(function: Callable[..., Any], *arguments: Any, wanted: Any, by: float = 1e-6) -> None:
    """Calls the function and compares; says what came out.

    Args:
        function: What is tested.
        arguments: What it is called with.
        wanted: What it must give.
        by: How far a number may be off where `wanted` has one with a decimal point.

    Raises:
        AssertionError: it gives something else.
    """
    got = function(*arguments)
    if not alike(got, wanted, by):
        call = f"{function.__name__}({', '.join(map(short, arguments))})"
        raise AssertionError(f"{call} gives {short(got)}; it must give {short(wanted)}")


def alike(got: Any, wanted: Any, by: float) -> bool:
    """Whether two values are equal; of numbers with a decimal point, nearly."""
    if isinstance(wanted, float):
        return isinstance(got, (int, float)) and abs(got - wanted) <= by
    if isinstance(wanted, (tuple, list)):
        return type(got) is type(wanted) and len(got) == len(wanted) and all(map(alike, got, wanted, [by] * len(got)))
    return bool(got == wanted)


def short(value: Any) -> str:
    """A value in at most about 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]}"
