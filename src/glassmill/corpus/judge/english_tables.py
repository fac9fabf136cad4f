"""What is known of English words and of marks: the tables behind `english.py`, and the exceptions to its rules.

The characters and units are those that spaCy's blank English tokenizer and FineWeb tell apart (Unicode's properties,
frozen here as ranges of code points); the contractions are made from their parts.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

Tokens = tuple[str, ...]


def characters(ranges: str) -> Iterator[str]:
    """The characters of hexadecimal code points and ranges of them, such as `21 2e 61d-61f`."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))


MARKS = frozenset("…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪")
QUOTES = frozenset("'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉\u2329\u232a⟦⟧")
DASHES = frozenset("—–")
MONEY = frozenset("$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿")
DOLLARS = ("US$", "C$", "A$")
# Pictures and signs (Unicode's So) up to Unicode 11.
ICONS = frozenset(
    characters(
        "a6 a9 ae b0 482 2100-2101 2103-2106 2108-2109 2114 2116-2117 211e-2123 2125 2127 2129 212e 213a-213b 214a"
        " 214c-214d 214f 2195-2199 219c-219f 21a1-21a2 21a4-21a5 21a7-21ad 21af-21cd 21d0-21d1 21d3 21d5-21f3"
        " 2300-2307 230c-231f 2322-2328 232b-237b 237d-239a 23b4-23db 23e2-2426 2440-244a 249c-24e9 2500-25b6"
        " 25b8-25c0 25c2-25f7 2600-266e 2670-2767 2794-27bf 2800-28ff 2b00-2b2f 2b45-2b46 2b4d-2b73 2b76-2bfe"
        " 3004 3012-3013 3020 3036-3037 1f000-1f0f5 1f110-1f16b 1f170-1f1ac 1f1e6-1f265 1f300-1f3fa 1f400-1f90b"
        " 1f910-1f970 1f973-1f976 1f97a 1f97c-1f9a2 1f9b0-1f9b9 1f9c0-1f9c2 1f9d0-1f9ff 1fa60-1fa6d"
    )
)
FRONT = MARKS | QUOTES | DASHES | MONEY | ICONS | frozenset("§%=")
BACK = MARKS | QUOTES | DASHES | ICONS
BEFORE_DOT = MARKS | QUOTES | frozenset("0123456789%²-+|")  # and small letters
UNITS = frozenset(
    [
        "km",
        "km²",
        "km³",
        "m",
        "m²",
        "m³",
        "dm",
        "dm²",
        "dm³",
        "cm",
        "cm²",
        "cm³",
        "mm",
        "mm²",
        "mm³",
        "ha",
        "µm",
        "nm",
        "yd",
        "in",
        "ft",
        "kg",
        "g",
        "mg",
        "µg",
        "t",
        "lb",
        "oz",
        "m/s",
        "km/h",
        "kmh",
        "mph",
        "hPa",
        "Pa",
        "mbar",
        "mb",
        "MB",
        "kb",
        "KB",
        "gb",
        "GB",
        "tb",
        "TB",
        "T",
        "G",
        "M",
        "K",
        "%",
        "км",
        "км²",
        "км³",
        "м",
        "м²",
        "м³",
        "дм",
        "дм²",
        "дм³",
        "см",
        "см²",
        "см³",
        "мм",
        "мм²",
        "мм³",
        "нм",
        "кг",
        "г",
        "мг",
        "м/с",
        "км/ч",
        "кПа",
        "Па",
        "мбар",
        "Кб",
        "КБ",
        "кб",
        "Мб",
        "МБ",
        "мб",
        "Гб",
        "ГБ",
        "гб",
        "Тб",
        "ТБ",
        "тб",
    ]
)
CLITICS = ("'s", "'S", "’s", "’S")
HYPHENS = ("-", "–", "—", "--", "---", "——", "~")
LONGEST_UNIT = 4

# Unicode's property Sentence_Terminal (PropList.txt), as ranges of code points: FineWeb's terminal punctuation.
SENTENCE_TERMINALS = frozenset(
    characters(
        "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6"
        " 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d"
        " 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f"
        " aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048"
        " 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3"
        " 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44"
        " 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
    )
)
# What FineWeb counts as punctuation: ASCII's, typographic and East Asian marks, and control characters.
PUNCTUATION = frozenset(
    [*string.punctuation, *"—–…“”„’´«»►∶━〈〉《》「」【】（），：；？！。．～％１", *SENTENCE_TERMINALS]
    + [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))]
)
# What may stand between the end of a sentence and the next one without beginning it.
CLOSING = frozenset(
    characters(
        "21-23 25-2a 2c-2f 3a-3b 3f-40 5b-5d 5f 7b 7d a1 a7 ab b6-b7 bb bf 37e 387 589-58a 61b 61d-61f 66a-66d 6d4"
        " 964-965 2010-2027 2030-2043 2045-2051 2053-205e 3001-3003 3008-3011 3014-301f ff01-ff03 ff05-ff0a ff0c-ff0f"
        " ff1a-ff1b ff1f-ff20 ff3b-ff3d ff5b ff5d ff5f-ff65"
    )
)


def _contractions() -> Iterator[Tokens]:
    """Contractions in their parts, with and without the apostrophe."""

    def both(words: str, *ends: str) -> Iterator[Tokens]:
        for word in words.split():
            for end in ends:
                parts = end.split("+")
                yield word, *(f"'{part}" for part in parts)
                yield word, *parts

    yield from both("i", "m")
    yield from (("i", "'m", "a"), ("i", "m", "a"))
    yield from both("i you he she it we they", "ll", "ll+ve", "d", "d+ve")
    yield from both("i you we they", "ve")
    yield from both("you we they", "re")
    yield from both("he she it who what when where why how there that this", "s")
    yield from both("who what when where why how there that this these those", "ll", "ll+ve", "d", "d+ve")
    yield from both("who what when where why how there these those could might must should would", "re", "ve")
    for verb in [
        "ca",
        "could",
        "do",
        "does",
        "did",
        "had",
        "may",
        "might",
        "must",
        "need",
        "ought",
        "sha",
        "should",
        "wo",
        "would",
    ]:
        yield from ((verb, "n't"), (verb, "nt"), (verb, "n't", "'ve"), (verb, "nt", "ve"))
    for verb in ["ai", "are", "is", "was", "were", "have", "has", "dare"]:
        yield from ((verb, "n't"), (verb, "nt"))
    yield from (("not", "'ve"), ("not", "ve"), ("can", "not"), ("gon", "na"), ("got", "ta"), ("let", "'s"))
    yield "how", "'d", "'y"


NO_CONTRACTIONS = frozenset(["ill", "its", "hell", "shell", "shed", "were", "well", "whore"])
NO_VERB_CONTRACTIONS = frozenset(verb + "re" for verb in ["could", "might", "must", "should", "would"])
ABBREVIATIONS = (
    "Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan."
    " Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. Sep. Sept. Tenn. Va. Wash."
    " Wis. a.m. Adm. Bros. co. Co. Corp. Dr. e.g. E.g. Gen. Gov. i.e. I.e. Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs."
    " Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. ä. ö. ü."
)
APOSTROPHES = (
    "' '' 'd 's 'S ‘s ‘S 're 'em 'll 'nuff 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout lovin' Lovin' havin'"
    " Havin' doin' Doin' goin' Goin' nothin' Nothin' nuthin' Nuthin' ol' Ol' somethin' Somethin'"
)
FACES = (
    ":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-( :(("
    " :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o :-o :0 :-0"
    " :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v"
    " V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<)"
    " (*_*) 8-D (¬_¬)"
)


def _exceptions() -> dict[str, Tokens]:
    rules: dict[str, Tokens] = {}
    for parts in _contractions():
        for first in (parts[0], parts[0].title()):
            text = "".join((first, *parts[1:]))
            if text.lower() not in NO_CONTRACTIONS and text.lower().replace("'", "") not in NO_VERB_CONTRACTIONS:
                rules[text] = (first, *parts[1:])
    rules |= {"y'all": ("y'", "all"), "yall": ("y", "all"), "c'mon": ("c'm", "on"), "C'mon": ("C'm", "on")}
    for hour in range(1, 13):
        rules |= {f"{hour}{half}": (str(hour), half) for half in ("am", "pm", "a.m.", "p.m.")}
    whole = [*ABBREVIATIONS.split(), *APOSTROPHES.split(), *FACES.split(), "and/or", "w/o", "C++"]
    whole += [f"{letter}." for letter in string.ascii_lowercase]
    rules |= {text: (text,) for text in whole}
    rules |= {text.replace("'", "’"): tuple(part.replace("'", "’") for part in parts) for text, parts in rules.items()}
    return rules | {f"°{degree}.": ("°", degree, ".") for degree in "CFK"}


EXCEPTIONS = _exceptions()
