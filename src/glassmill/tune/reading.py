"""Files of conversations -> conversations, each with its place.

Nothing here loads torch, so that a mistake in a file is found before the first stage starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from glassmill.errors import Misshapen, UserError
from glassmill.run.inputs import expand
from glassmill.run.rows import read_rows
from glassmill.tune.shapes import Conversation, conversation_of


class Placed(NamedTuple):
    """A conversation, and the file and line that it comes from, in words."""

    conversation: Conversation
    place: str


def read_conversations(files: Sequence[str]) -> Iterator[Placed]:
    """The conversations of the files, folders and globs that `sft.conversations` names.

    Raises:
        UserError: nothing there, a file of no kind that `glassmill.run.rows` reads, or a row without a conversation;
            the message has file and line.
    """
    for path in expand(files):
        for place, row in read_rows(path):
            try:
                yield Placed(conversation_of(row), place)
            except Misshapen as error:
                raise UserError(f"{place} is not a conversation: {error}") from None
