"""What the tests of the exercises share."""

from collections.abc import Callable
from typing import Any


def gives(function: Callable[..., Any], *arguments: Any, wanted: Any) -> None:
    """Calls the function and compares; says what came out.

    Raises:
        AssertionError: it gives something else.
    """
    got = function(*arguments)
    if got != wanted:
        call = f"{function.__name__}({', '.join(map(short, arguments))})"
        raise AssertionError(f"{call} gives {short(got)}; it must give {short(wanted)}")


def near(function: Callable[..., float], *arguments: Any, wanted: float, by: float = 1e-6) -> None:
    """The same for a number that may be off by a little."""
    got = function(*arguments)
    if not isinstance(got, (int, float)) or abs(got - wanted) > by:
        call = f"{function.__name__}({', '.join(map(short, arguments))})"
        raise AssertionError(f"{call} gives {short(got)}; it must give {wanted:.6g}")


def short(value: Any) -> str:
    """A value in at most about 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]}"
