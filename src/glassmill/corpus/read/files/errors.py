"""What goes wrong with one file or page; the caller sets it aside with these words."""


class UnreadableError(ValueError):
    """A file that cannot be read: damaged, locked, or not what its name says."""


class RefusedError(ValueError):
    """A file that must not be read: it points out of its place, or unpacks to more than it may."""


UNJUDGED = (ValueError, RuntimeError, RecursionError, OverflowError, TypeError, IndexError, KeyError)
"""What a page may raise in the hands of those who read it: a page of its kind is set aside, and the others go on."""


def cause_of(error: Exception) -> str:
    """The words for such an error: those that name the cause as they are, others with their class."""
    known = isinstance(error, UnreadableError | RefusedError)
    return str(error) if known else f"{type(error).__name__}: {error}"[:300]
