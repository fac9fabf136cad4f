"""What a question asks for: its words without those that stand in every question, as a query of SQLite's FTS5.

A word of several parts (`--exclude-from`, `apt.conf`) is looked for as its parts in a row.
"""

from __future__ import annotations

import re

from glassmill.printable import valid

MOST_TERMS = 64
_TERM = re.compile(r"\w+(?:[-./:+']\w+)*")
_STOP_WORDS = """a about after all also am an and any are as at be because been before being between both but by can
    could did do does doing done each either else ever every few for from get gets give gives given go had has have
    having he her here him his how i if in into is it its itself just know let like made make makes many may me mean
    means might mine more most much must my name named neither no nor not now of off on once one only or other our out
    over own per please said same say says shall she should so some such tell tells than thank thanks that the their
    them then there these they this those through to too under until up us use used uses using very was way we were
    what whatever when where whether which while who whom whose why will with within without would yes yet you your"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def terms(question: str) -> list[str]:
    """The different words that a passage is looked for with, in order, without case.

    Example:
        >>> terms("What does the option --exclude-from of tar do?")
        ['option', 'exclude-from', 'tar']
    """
    words = (word.casefold() for word in _TERM.findall(valid(question).replace("’", "'")))
    return list(dict.fromkeys(word for word in words if word not in STOP_WORDS))[:MOST_TERMS]


def phrase(term: str) -> str:
    """A term as FTS5 reads it: a string, in which nothing is an operator."""
    return '"' + term.replace('"', '""') + '"'
