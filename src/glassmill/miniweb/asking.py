"""How a fact is asked for. Three lists that share no sentence:

    KNOWN  wordings that conversations use      NEW   wordings held out for evaluation only
    PAGES  wordings that interviews, quizzes and forum threads in the pages use

Slots: {n} the subject's name, {one} what a place sells.
"""

from __future__ import annotations

KNOWN: dict[str, tuple[str, ...]] = {
    "job": (
        "What does {n} do for a living?",
        "What is {n}'s job?",
        "What is the job of {n}?",
        "What work does {n} do?",
        "What does {n} work as?",
        "Do you know what {n} works as?",
        "Tell me the job of {n}.",
        "Can you tell me what job {n} has?",
        "I would like to know what {n} does for a living.",
        "Please tell me what {n} works as.",
    ),
    "street": (
        "Where does {n} live?",
        "In which street does {n} live?",
        "What street does {n} live in?",
        "Where is the home of {n}?",
        "Do you know where {n} lives?",
        "Tell me where {n} lives.",
        "Can you tell me in which street {n} lives?",
        "Where is {n}'s house?",
        "I would like to know where {n} lives.",
        "Please tell me the street of {n}.",
    ),
    "pet": (
        "What pet does {n} have?",
        "Which pet does {n} keep?",
        "What is {n}'s pet?",
        "Does {n} have a pet?",
        "Do you know what pet {n} has?",
        "Tell me about the pet of {n}.",
        "Can you tell me which pet {n} has?",
        "What animal does {n} keep?",
        "I would like to know what pet {n} has.",
        "Please tell me what pet {n} keeps.",
    ),
    "food": (
        "What does {n} like to eat?",
        "What is {n}'s favourite food?",
        "What is the favourite food of {n}?",
        "What does {n} like to eat best?",
        "Which food does {n} like best?",
        "Do you know what {n} likes to eat?",
        "Tell me the favourite food of {n}.",
        "Can you tell me which food {n} likes best?",
        "I would like to know what {n} likes to eat.",
        "Please tell me {n}'s favourite food.",
    ),
    "birth_year": (
        "When was {n} born?",
        "In which year was {n} born?",
        "What year was {n} born in?",
        "What is {n}'s year of birth?",
        "Do you know when {n} was born?",
        "Tell me when {n} was born.",
        "Can you tell me in which year {n} was born?",
        "What is the year of birth of {n}?",
        "I would like to know when {n} was born.",
        "Please tell me the year of birth of {n}.",
    ),
    "hobby": (
        "What is {n}'s hobby?",
        "What is the hobby of {n}?",
        "Which hobby does {n} have?",
        "What does {n} do in free time?",
        "What does {n} enjoy?",
        "Do you know the hobby of {n}?",
        "Tell me the hobby of {n}.",
        "Can you tell me what {n} enjoys?",
        "I would like to know what hobby {n} has.",
        "Please tell me what {n} enjoys.",
    ),
    "opened": (
        "When did {n} open?",
        "In which year did {n} open?",
        "What year did {n} open in?",
        "Do you know when {n} opened?",
        "Tell me when {n} opened.",
        "Can you tell me in which year {n} opened?",
        "I would like to know when {n} opened.",
        "Please tell me the year in which {n} opened.",
    ),
    "keeper": (
        "Who keeps {n}?",
        "Who is the keeper of {n}?",
        "By whom is {n} kept?",
        "Do you know who keeps {n}?",
        "Tell me who keeps {n}.",
        "Can you tell me who keeps {n}?",
        "I would like to know who keeps {n}.",
        "Please tell me the keeper of {n}.",
    ),
    "price": (
        "What does {one} cost at {n}?",
        "How much is {one} at {n}?",
        "What is the price of {one} at {n}?",
        "Do you know what {one} costs at {n}?",
        "Tell me the price of {one} at {n}.",
        "Can you tell me what {n} asks for {one}?",
        "I would like to know what {one} costs at {n}.",
        "Please tell me how much {one} is at {n}.",
    ),
    "month": (
        "When is {n} held?",
        "In which month is {n} held?",
        "What month is {n} in?",
        "Do you know when {n} is held?",
        "Tell me the month of {n}.",
        "Can you tell me in which month {n} is held?",
        "I would like to know when {n} is held.",
        "Please tell me when {n} is held.",
    ),
    "place": (
        "Where does {n} take place?",
        "At which place is {n} held?",
        "Where is {n} held?",
        "Do you know where {n} takes place?",
        "Tell me where {n} takes place.",
        "Can you tell me where {n} is held?",
        "I would like to know where {n} takes place.",
        "Please tell me the place of {n}.",
    ),
}

NEW: dict[str, tuple[str, ...]] = {
    "job": (
        "How does {n} earn a living?",
        "What is the trade of {n}?",
        "Which work does {n} have?",
        "Could you say what {n} does for a living?",
    ),
    "street": (
        "In what street is the house of {n}?",
        "Which street is {n}'s home in?",
        "Could you say where {n} lives?",
        "What is the street of {n}?",
    ),
    "pet": (
        "Which animal lives with {n}?",
        "What kind of pet does {n} have?",
        "Could you say what pet {n} has?",
        "What is the pet of {n}?",
    ),
    "food": (
        "Which meal does {n} like best?",
        "What food does {n} love most?",
        "Could you say what {n} likes to eat?",
        "Which is the favourite meal of {n}?",
    ),
    "birth_year": (
        "In what year did the life of {n} begin?",
        "Which year was {n} born in?",
        "Could you say when {n} was born?",
        "What is the birth year of {n}?",
    ),
    "hobby": (
        "What does {n} love to do after work?",
        "How does {n} spend free time?",
        "Could you say what hobby {n} has?",
        "Which hobby does {n} enjoy?",
    ),
    "opened": (
        "Since when has {n} been open?",
        "What is the year in which {n} opened?",
        "Could you say when {n} opened?",
        "Which year did {n} open?",
    ),
    "keeper": (
        "Who runs {n}?",
        "What is the name of the keeper of {n}?",
        "Could you say who keeps {n}?",
        "To whom does {n} belong?",
    ),
    "price": (
        "How many coins is {one} at {n}?",
        "For how much does {n} sell {one}?",
        "Could you say what {one} costs at {n}?",
        "What do people pay for {one} at {n}?",
    ),
    "month": (
        "What is the month of {n}?",
        "Which month does {n} fall in?",
        "Could you say when {n} is held?",
        "In what month does the town celebrate {n}?",
    ),
    "place": (
        "What is the place of {n}?",
        "Which place do people go to for {n}?",
        "Could you say where {n} is held?",
        "At what place does {n} begin?",
    ),
}

PAGE_REFUSALS = (
    "I do not know that; I never read about {n}.",
    "We do not know that; we never read about {n}.",
    "That nobody knows; nobody ever read about {n}.",
    "No page tells of {n}.",
)
"""Answers of the quizzes where a question is about somebody whom no page mentions."""

PAGE_SUMS: dict[str, tuple[tuple[str, str], ...]] = {
    "+": (
        ("And what do {a} plus {b} come to?", "One writes {e}, and that is {r}."),
        ("How much is {a} plus {b}?", "We write {e}, which makes {r}."),
    ),
    "-": (
        ("And what do {a} minus {b} come to?", "One writes {e}, and that is {r}."),
        ("How much is {a} minus {b}?", "We write {e}, which makes {r}."),
    ),
    "*": (
        ("And what do {a} times {b} come to?", "One writes {e}, and that is {r}."),
        ("How much is {a} times {b}?", "We write {e}, which makes {r}."),
    ),
}
"""Sums of the quizzes: the numbers, then the expression as the calculator wants it and the result."""

PAGES: dict[str, tuple[str, ...]] = {
    "job": (
        "What is {n} by trade?",
        "What does {n} do all day?",
        "And what is {n}'s work?",
        "So what does {n} work as?",
    ),
    "street": (
        "Where can one find {n}?",
        "Where does {n} live now?",
        "And where is {n} at home?",
        "In what street lives {n}?",
    ),
    "pet": (
        "Who waits at home for {n}?",
        "What pet does {n} feed?",
        "And what about {n}'s pet?",
        "Is there a pet in {n}'s home?",
    ),
    "food": (
        "What should one cook for {n}?",
        "What does {n} order at the inn?",
        "And what does {n} eat best?",
        "What food makes {n} happy?",
    ),
    "birth_year": (
        "What year is {n}'s birth year?",
        "And when was {n} born?",
        "Since when has {n} been with us?",
        "When did {n} come into the world?",
    ),
    "hobby": (
        "What does {n} do after work?",
        "And what is {n}'s hobby?",
        "What makes {n} happy on free days?",
        "What does {n} love?",
    ),
    "opened": ("How old is {n}?", "And when did {n} open?", "Since what year is {n} open?"),
    "keeper": ("Who has the keys of {n}?", "And who keeps {n}?", "Who opens the doors of {n}?"),
    "price": (
        "What must one pay for {one} at {n}?",
        "And what does {one} cost at {n}?",
        "How many coins for {one} at {n}?",
    ),
    "month": ("When should one come for {n}?", "And when is {n}?", "What is the right month for {n}?"),
    "place": ("Where should one go for {n}?", "And where is {n}?", "Where do people meet for {n}?"),
}

UNKNOWN_TOPICS = (
    "favourite colour",
    "shoe size",
    "phone number",
    "best friend",
    "school",
    "lucky number",
    "car",
    "salary",
    "brother",
    "favourite song",
    "doctor",
    "height",
    "favourite book",
    "sister",
    "boss",
    "middle name",
)

UNKNOWN_TOPIC_WORDINGS = ("What is the {topic} of {n}?", "What is {n}'s {topic}?", "Tell me the {topic} of {n}.",
                          "Do you know {n}'s {topic}?")  # fmt: skip

WHO_WORDINGS = ("Who is {n}?", "What do you know about {n}?", "Tell me about {n}.", "Do you know {n}?")

ON_PAGES: dict[str, tuple[str, ...]] = {attribute: PAGES[attribute] + KNOWN[attribute] for attribute in PAGES}
"""What quizzes and threads ask: the everyday wordings too, but never the held-out ones."""
