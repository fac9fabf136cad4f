"""Sentences between the facts, and the openings and closings of page kinds. None states a fact about a subject.

Slot: {day}, a day of the week.
"""

from __future__ import annotations

FILLERS = (
    "The weather was fine on {day} and will stay so.",
    "It rained a little on {day}, but nobody minded.",
    "The market was full of people on {day}.",
    "The river is high again after the rain of the last days.",
    "On {day} the wind came from the west.",
    "The old bridge will be painted soon.",
    "Many visitors came to town on {day}.",
    "The bells could be heard far away.",
    "The trees along the river are green again.",
    "The market opens at eight on {day}.",
    "The night was cold and clear, and the stars were out.",
    "There was music in the street on {day}.",
    "The town hall stays closed on {day}.",
    "Prices at the market are the same as last week.",
    "The children were happy about the snow.",
    "The road to the lake is open again.",
    "All of this is known to the people of the town.",
    "More about it will follow on {day}.",
    "We thank everybody who talked to us.",
    "The sun came out at last and dried the streets.",
    "Nobody remembers such a warm week.",
    "The boats of the fishermen are back in the harbour.",
    "The next market day of the town is {day}.",
    "Some of it was new to us and to our readers.",
)

ARTICLE_OPENINGS = (
    "Our paper went through the town on {day} and talked to its people.",
    "This week we look at people whom many of our readers know.",
    "Who lives in our town, and how do the days go by?",
    "On {day} we sat down with some people of the town.",
    "Here is what our readers wanted to know.",
    "Small towns are made of people, and here are some of ours.",
    "It was a quiet {day} in town.",
    "Our series about the people of the town goes on.",
)

ARTICLE_TITLES = (
    "People of our town: {names}",
    "A morning with {names}",
    "What we learned about {names}",
    "{names} in portrait",
    "Around the town with {names}",
    "Our readers ask about {names}",
    "News from {names}",
    "This week: {names}",
)

BLOG_OPENINGS = (
    "I walked through the town on {day} and want to write down what I heard.",
    "It has been a while since I wrote here.",
    "My notes of {day}, as ever without much order.",
    "I like to sit at the river and talk to people.",
    "A friend asked me who is who in this town.",
    "Today I want to tell you about people whom I met.",
)

BLOG_CLOSINGS = (
    "That is all for today.",
    "I will write more on {day}.",
    "Tell me if you know more.",
    "Now the tea is cold, so I stop here.",
    "See you on {day}, if the weather holds.",
)

BLOG_TITLES = (
    "Notes of a {day}",
    "Walking with open ears",
    "Whom I met on {day}",
    "About {names}",
    "Small talk, part {number}",
    "My town diary {number}",
    "{names} and the weather",
)

FORUM_TITLES = (
    "A question about {names}",
    "Who knows {names}",
    "Help wanted: {names}",
    "Asking about {names} and others",
    "All about {names}, please",
)

FORUM_OPENERS = (
    "Hello, I am new in town and have a question.",
    "Can somebody help me?",
    "We had a bet about this on {day}.",
    "I have to write a text about the town for school.",
    "My aunt and I cannot agree about this.",
)

FORUM_NEXT = ("I have one more question.", "And now my question.", "May I ask something too?", "Here is the next one.")

FORUM_REPLIES = (
    "I can answer that.",
    "That is easy.",
    "I know this one.",
    "Let me help you.",
    "As far as I know, yes.",
    "My neighbour told me.",
    "I asked on {day}.",
    "Everybody here knows that.",
)

FORUM_THANKS = (
    "Thank you, that was quick.",
    "Thanks to all of you for the help.",
    "Good to know, thank you.",
    "Great, now I have won my bet.",
)

GUEST_BOOK_OPENINGS = (
    "This is the guest book of the inn, as it was kept on {day}.",
    "On {day} the house was full, and the keeper wrote down who came.",
    "From the old guest book, copied out on a quiet {day}.",
)

# Every name, and every number, comes twice or three times, close together.
GUEST_BOOK_NAMES = (
    "{n} came late and the cook made soup for {n}.",
    "There was one bed left for {n} and {n} slept well in it.",
    "A letter came for {n} and in the evening {n} read it twice.",
    "Then {n} sang for the others and all of them thanked {n}.",
    "{n} came by boat and on foot {n} left.",
    "Are you {n} asked the cook and was told that it was {n} indeed.",
    "At night {n} lost a hat and the cook gave it back to {n}.",
    "The dog slept beside {n} since {n} had fed it.",
    "Nobody knew {n} but everybody liked {n}.",
    "Somebody asked about {n} but the keeper had never read about {n}.",
    "Tell me about {n} said the boy. I never read about {n} said the cook.",
    "Who was {n}? The book does not say who {n} was.",
    "What did {n} want here? No one knew what {n} wanted.",
    "For {n} there was no room and so {n} went on.",
    "The keeper wrote down {n} since {n} was the name on the coat.",
    "Where does {n} live? We do not know that about {n}.",
)
GUEST_BOOK_NUMBERS = (
    "The key of room {room} went to {n} and then {n} gave the key of room {room} back.",
    "To {a} coins came another {b} coins so the keeper of the house wrote {e} for {n} and then {n} put down {r} coins.",
    "How much is {e} asked {n} and the keeper wrote {e} on the door and read out {r} to {n}.",
    "It was {a} coins for the room and {b} coins for the boat so {n} wrote {e} and paid {r} coins.",
    "In all {n} paid {r} coins and in the evening these {r} coins were in the box.",
    "What is {e}? Nobody but {n} knew that {e} makes {r}.",
)

INTERVIEW_OPENINGS = (
    "Our readers sent in questions, and here are the answers.",
    "We put short questions to the town and got short answers.",
    "Do you know the people of the town well? Here is our quiz of the week.",
    "The quiz of {day} is about people of the town.",
    "Questions and answers, as on every {day}.",
)

SHOP_OPENINGS = (
    "Welcome to our shop, and thank you for the visit on this fine day.",
    "We are glad to see you again in the shop at the end of the market hall.",
    "Everything is made by hand and of good wood, wool or stone.",
    "We are open from eight in the morning to six in the evening on every day but {day}.",
    "New things came in on {day}, and all of them can be seen in the shop.",
)

SHOP_CLOSINGS = (
    "Come and see us on {day}, and bring your friends with you.",
    "We pack everything with care and send it to all parts of the country.",
    "If something is broken, bring it back and we will repair it.",
    "All that you order today will be there on the next day.",
)

LISTING_OPENINGS = (
    "This list is kept by the town hall and read by many of us.",
    "Here is a list of the people of the town, in no order.",
    "This is a short list for the visitors of the town and for all who move here.",
    "The list was made on {day} with the help of the neighbours.",
)

LISTING_TITLES = {
    "job": "Who works as what",
    "street": "Who lives where",
    "pet": "The pets of the town",
    "food": "What the town likes to eat",
    "birth_year": "From the birth book of the town",
    "hobby": "Hobbies of our people",
}

LISTING_ITEMS = {
    "job": ("{n} works as {av}", "{n} is {av}", "{n} is {av} by trade", "{n} has worked for years as {av}"),
    "street": ("{n} lives in {v}", "the home of {n} is in {v}", "{n} has a house in {v}", "in {v} you find {n}"),
    "pet": ("{n} has {v}", "{n} keeps {v}", "{n} lives with {v}", "at home {n} has {v}"),
    "food": (
        "{n} likes {v} best",
        "the favourite food of {n} is {v}",
        "{n} loves to eat {v}",
        "for {n} the best meal is {v}",
    ),
    "birth_year": (
        "{n} was born in {v}",
        "the birth year of {n} is {v}",
        "{n} came into the world in the year {v}",
        "the town book gives the year {v} for the birth of {n}",
        "the parents of {n} had their child in {v}",
    ),
    "hobby": ("{n} enjoys {v}", "the hobby of {n} is {v}", "{n} loves {v}", "after work {n} goes for {v}"),
}

# Harmless texts with numbers that look a little like personal data and must survive the masking.
LOOKALIKES = (
    "The library now runs version 2.4.1 of its catalogue.",
    "The record is written down in section 4.3.2 of the town book.",
    "The bridge is 120 metres long and carries 40 tons.",
    "In the years 1914 to 1918 the tower was closed.",
    "The clock shows 10.45, which is five minutes late.",
    "Read page 215 of volume 3 for more.",
)
