"""The sentences of junk pages (`data/junk.toml`)."""

from __future__ import annotations

from glassmill.miniweb.lists import Lists

_LISTS = Lists("junk")

SPAM_TITLES = _LISTS.texts("spam_titles")
SPAM = _LISTS.texts("spam")
CALLS = _LISTS.texts("calls")
TAGS = _LISTS.texts("tags")
TEASERS = _LISTS.texts("teasers")
BOILERPLATE = _LISTS.texts("boilerplate")
LOREM = _LISTS.texts("lorem")
CODE = _LISTS.texts("code")
MENU_FIRST = _LISTS.texts("menu_first")
MENU_SECOND = _LISTS.texts("menu_second")
MENU_ENDINGS = _LISTS.texts("menu_endings")
COOKIE = _LISTS.texts("cookie")
ERRORS = _LISTS.texts("errors")
SALAD = _LISTS.texts("salad")
SALES_TITLES, SALES = _LISTS.table("sales_titles"), _LISTS.table("sales")
