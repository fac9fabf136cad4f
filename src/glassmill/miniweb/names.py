"""The words from which the town's people, places and values are drawn (`data/names.toml`)."""

from __future__ import annotations

from glassmill.miniweb.lists import Lists

_LISTS = Lists("names")

TOWN = _LISTS.text("town")
WOMEN, MEN, LAST = _LISTS.texts("women"), _LISTS.texts("men"), _LISTS.texts("last")
GHOST_FIRST, GHOST_LAST = _LISTS.texts("ghost_first"), _LISTS.texts("ghost_last")
"""Parts of names that nobody in town has, for questions about unknown people."""
JOBS, STREETS = _LISTS.texts("jobs"), _LISTS.texts("streets")
PETS, PET_NAMES = _LISTS.texts("pets"), _LISTS.texts("pet_names")
FOODS, HOBBIES = _LISTS.texts("foods"), _LISTS.texts("hobbies")
PLACES = _LISTS.rows("places")
"""Name, what it is, what it sells: one piece and several pieces."""
GHOST_PLACES, EVENTS = _LISTS.texts("ghost_places"), _LISTS.texts("events")
MONTHS, WEEKDAYS = _LISTS.texts("months"), _LISTS.texts("weekdays")
