"""The words from which the town's people, places and values are drawn."""

from __future__ import annotations

from glassmill.miniweb.chance import phrases, words

TOWN = "Lindenfield"

WOMEN = words(
    """
    Mira Anna Clara Edith Flora Greta Hanna Ida Julia Karin Lena Marta Nora Olga Paula Rosa Selma Thea Ursula
    Vera Wilma Yvonne Zelda Agnes Berta Celia Dora Emma Frida Gerda Helga Irma Jutta Linda Mona Nelly Petra
    Ruth Sofia Tilda
    """
)

MEN = words(
    """
    Adam Bruno Carl David Emil Felix Georg Hugo Ivan Jonas Klaus Leon Martin Niels Oscar Peter Ralf Simon Theo
    Urban Victor Walter Anton Boris Conrad Dieter Edgar Frank Gustav Henry Jakob Kurt Lukas Max Otto Paul
    Robert Stefan Thomas Uwe
    """
)

LAST = words(
    """
    Holt Berger Crane Dahl Ekman Falk Grimm Hale Jansen Keller Lund Moran Novak Olsen Pratt Quist Rask Stone
    Thorn Ulrich Voss Webb Yates Zorn Abel Blum Coster Drake Elsner Frost Gallo Hobbs Ivers Jung Kessler
    Lorenz Marsh Nagel Orton Petri Reuter Sander Tresco Umber Vogel Wagner Ziegler Arnold Bishop Carver Dorn
    Eaton Fischer Gerber Hansen Isaak Jarvis Kramer Lang Miller Norris Oakley Palmer Roth Seidel Turner Unger
    Varga Winter Young Zander Ashby Bolton Cooper Dexter Ebert Foster Gruber Hoffman Ingram Jordan Kaiser
    Lambert Mercer Neumann Osborn Porter
    """
)

# Parts of names that nobody in the town has, for questions about unknown people.
GHOST_FIRST = words(
    """
    Alma Britta Doris Elsa Fiona Gina Hilda Inga Josef Kaspar Ludwig Milan Norbert Oliver Philip Roman Silas
    Tobias Valentin Werner
    """
)
GHOST_LAST = words(
    """
    Albrecht Barlow Cramer Denning Engel Farley Goddard Hartwig Irving Jessen Kirsch Lowell Meyer Niemann
    Ogden Pohl Rainer Steiner Tucker Vickers
    """
)

JOBS = words(
    """
    baker carpenter teacher nurse gardener tailor miller painter doctor cook driver farmer potter singer
    barber judge weaver writer sailor plumber butcher optician postman librarian
    """
)

STREETS = phrases(
    """
    Lindengate|Mill Lane|Harbour Square|Castle Hill|Bridge Street|Garden Row|Church Walk|Oak Avenue
    Market Street|River Road|Old Wall|Station Road|Fountain Court|Cherry Lane|Tower Street|Meadow End
    """
)

PETS = words("cat dog parrot rabbit goat pony turtle hen")

PET_NAMES = words(
    """
    Tom Bello Coco Daisy Elvis Fips Gizmo Happy Idefix Jumbo Kiki Lucky Moritz Nemo Oreo Pepper Quincy Rusty
    Snowy Tiger Ulla Vito Waldo Xena Yoda Ziggy Apollo Biscuit Cookie Domino Echo Fluffy Ginger Hector Indy
    Jasper Kimba Lotte Muffin Nutmeg Olive Pippin Rocket Sunny Toffee Umbra Velvet Whisky Amigo Bandit Caesar
    Dusty Ember Fanny Goldie Hazel Iggy Jolly Kobold Luna Mango Nacho Onyx Pluto
    """
)

FOODS = phrases(
    """
    plum cake|onion soup|fried fish|apple pie|roast duck|potato salad|rice pudding|cheese bread
    mushroom stew|lemon tart|bean soup|honey cake|smoked ham|pancakes|dumplings|noodles|sausages|pea soup
    cherry jam|baked eggs
    """
)

HOBBIES = words(
    """
    fishing painting singing dancing swimming rowing knitting gardening carving skating climbing sailing
    drawing juggling sewing cycling
    """
)

# name, what it is, what it sells (one piece, several pieces)
PLACES = (
    ("the Blue Kettle", "tea room", "a cup of tea", "cups of tea"),
    ("the Golden Oven", "bakery", "a loaf of bread", "loaves of bread"),
    ("the Red Lantern", "inn", "a bowl of soup", "bowls of soup"),
    ("the Silver Needle", "cloth shop", "a roll of silk", "rolls of silk"),
    ("the Green Anchor", "boat house", "a boat ticket", "boat tickets"),
    ("the White Feather", "book shop", "a notebook", "notebooks"),
    ("the Iron Wheel", "bicycle shop", "a bicycle bell", "bicycle bells"),
    ("the Copper Moon", "theatre", "a theatre seat", "theatre seats"),
    ("the Wild Rose", "flower shop", "a bunch of roses", "bunches of roses"),
    ("the Black Bear", "brewery", "a jug of beer", "jugs of beer"),
    ("the Little Mill", "flour shop", "a sack of flour", "sacks of flour"),
    ("the Glass Heron", "museum", "a museum ticket", "museum tickets"),
)
GHOST_PLACES = ("the Purple Whale", "the Wooden Crown", "the Silent Drum", "the Yellow Barrel", "the Stone Lion",
                "the Paper Ship", "the Lame Horse", "the Crooked Spoon", "the Hidden Well", "the Tin Rooster",
                "the Broken Bell", "the Velvet Hat")  # fmt: skip

EVENTS = ("the Lantern Fair", "the Boat Race", "the Plum Feast", "the Winter Market", "the Song Night", "the Kite Day",
          "the Harvest Dance", "the Candle Walk")  # fmt: skip
MONTHS = words("January February March April May June July August September October November December")
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
