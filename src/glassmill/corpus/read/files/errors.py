"""What goes wrong with one file or page; the caller sets it aside with these words."""

from glassmill.errors import RefusedError, UnreadableError

UNJUDGED = (ValueError, RuntimeError, RecursionError, OverflowError, TypeError, IndexError, KeyError)
"""What a page may raise in the hands of those who read it: a page of its kind is set aside, and the others go on."""


def cause_of(error: Exception) -> str:
    """The words for such an error: those that name the cause as they are, others with their class."""
    known = isinstance(error, UnreadableError | RefusedError)
    return str(error) if known else f"{type(error).__name__}: {error}"[:300]
