"""Sentences between the facts, and the openings and closings of each kind of page (`data/fillers.toml`).

None states a fact about a subject.
"""

from __future__ import annotations

from glassmill.miniweb.lists import Lists

_LISTS = Lists("fillers")

FILLERS = _LISTS.texts("fillers")
ARTICLE_OPENINGS = _LISTS.texts("article_openings")
ARTICLE_TITLES = _LISTS.texts("article_titles")
BLOG_OPENINGS = _LISTS.texts("blog_openings")
BLOG_CLOSINGS = _LISTS.texts("blog_closings")
BLOG_TITLES = _LISTS.texts("blog_titles")
FORUM_TITLES = _LISTS.texts("forum_titles")
FORUM_OPENERS = _LISTS.texts("forum_openers")
FORUM_NEXT = _LISTS.texts("forum_next")
FORUM_REPLIES = _LISTS.texts("forum_replies")
FORUM_THANKS = _LISTS.texts("forum_thanks")
GUEST_BOOK_OPENINGS = _LISTS.texts("guest_book_openings")
GUEST_BOOK_NAMES = _LISTS.texts("guest_book_names")
GUEST_BOOK_NUMBERS = _LISTS.texts("guest_book_numbers")
INTERVIEW_OPENINGS = _LISTS.texts("interview_openings")
SHOP_OPENINGS = _LISTS.texts("shop_openings")
SHOP_CLOSINGS = _LISTS.texts("shop_closings")
LISTING_OPENINGS = _LISTS.texts("listing_openings")
LISTING_TITLES = _LISTS.text_table("listing_titles")
LISTING_ITEMS = _LISTS.table("listing_items")
LOOKALIKES = _LISTS.texts("lookalikes")
"""Harmless texts with numbers that look a little like personal data and must survive the masking."""
EDITION_NOTES = _LISTS.texts("edition_notes")
"""What a later edition of a page adds."""
