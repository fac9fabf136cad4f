"""What goes wrong with one file or page; the caller quarantines it with this cause."""

from glassmill.errors import RefusedError, UnreadableError

UNJUDGED = (ValueError, RuntimeError, RecursionError, OverflowError, TypeError, IndexError, KeyError)
"""What reading a bad page may raise: that page is quarantined, and the others continue."""


def cause_of(error: Exception) -> str:
    """The words for such an error: those that name the cause as they are, others with their class."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    known = isinstance(error, UnreadableError | RefusedError)
    return str(error) if known else f"{type(error).__name__}: {error}"[:300]
