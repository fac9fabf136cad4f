"""How a fact is asked for (`data/asking.toml`, which explains the slots). Four lists that share no sentence:

KNOWN  wordings that conversations use      NEW       wordings held out for the evaluation
PAGES  wordings that interviews, quizzes and forum threads in the pages use
                                            PRACTICE  wordings that reinforcement learning adds
"""

from __future__ import annotations

from glassmill.miniweb.lists import Lists
from glassmill.miniweb.names import TOWN

_LISTS = Lists("asking")

KNOWN, NEW, PAGES = _LISTS.table("known"), _LISTS.table("new"), _LISTS.table("pages")
PRACTICE = _LISTS.table("practice")
PAGE_REFUSALS = _LISTS.texts("page_refusals")
"""Answers of the quizzes where a question is about somebody whom no page mentions."""
SUM_KNOWN, SUM_NEW = _LISTS.table("sum_known"), _LISTS.table("sum_new")
PAGE_SUMS = _LISTS.row_table("page_sums")
"""Sums of the quizzes: the numbers, then the expression as the calculator wants it and the result."""
TWO_STEP = _LISTS.row_table("two_step")
"""Sums in two steps, to practise and held out: question, and expression."""
UNKNOWN_TOPICS, UNKNOWN_TOPIC_WORDINGS = _LISTS.texts("unknown_topics"), _LISTS.texts("unknown_topic_wordings")
WHO_WORDINGS = _LISTS.texts("who_wordings")
SMALL_TALK = tuple((said, answer.format(town=TOWN)) for said, answer in _LISTS.exchanges("small_talk"))
"""What people say, and the answer."""

ON_PAGES: dict[str, tuple[str, ...]] = {attribute: PAGES[attribute] + KNOWN[attribute] for attribute in PAGES}
"""What quizzes and threads ask: the everyday wordings too, but never the held-out ones."""
