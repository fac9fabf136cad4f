"""Scripts that put no blanks between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan.

In: text. Out: how many words of a spaced text say as much. The rules of Gopher, C4 and FineWeb count words by blanks
and compare lengths with numbers made for English; on a text in one of these scripts they ask here instead. Any other
text is judged exactly as FineWeb does. The native extractor uses the same numbers (`native/html/shape.cpp`).
"""

from __future__ import annotations

import re

_IDEOGRAMS = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U00037fff"
_KANA = "\u3041-\u30ff\uff66-\uff9f"
_UNSTOPPED = "\u0e00-\u0eff"  # Thai and Lao: a sentence ends in a blank
_SYLLABLES = "\u0f00-\u109f\u1780-\u17ff\ua9e0-\uaa7f" + _UNSTOPPED
_ONE_OF_THEM = re.compile(f"[{_IDEOGRAMS}{_KANA}{_SYLLABLES}]")
_DENSE = [  # words and Latin letters that a character of the script stands for
    (re.compile(f"[{_IDEOGRAMS}]"), 0.6, 3),
    (re.compile(f"[{_KANA}]"), 0.4, 2),
    (re.compile(f"[{_SYLLABLES}]"), 0.2, 1),
]
_STOPS = re.compile("[\u3002\uff01\uff1f\uff0e\uff61\u17d4\u17d5\u104b\u0f0d]")
_STOPLESS = re.compile(f"[{_UNSTOPPED}]")
_SAMPLE = 1000  # characters


def has_no_blanks(text: str) -> bool:
    """Whether most of the beginning of `text` is in such a script.

    Example:
        >>> has_no_blanks("\u78e8\u574a\u7684\u6c34\u8f6e"), has_no_blanks("The mill (\u78e8\u574a) by the river")
        (True, False)
    """
    start = text[:_SAMPLE]
    return not start.isascii() and 2 * len(_ONE_OF_THEM.findall(start)) > sum(map(str.isalnum, start))


def has_no_stops(text: str) -> bool:
    """Whether the sentences of such a text end in a blank, as in Thai and Lao."""
    return 2 * len(_STOPLESS.findall(text[:_SAMPLE])) > len(_ONE_OF_THEM.findall(text[:_SAMPLE]))


def words_in(text: str) -> float:
    """Words of English that say as much as the characters of these scripts in `text`; others add nothing."""
    return sum(words * len(pattern.findall(text)) for pattern, words, _ in _DENSE)


def letters_in(text: str) -> int:
    """The length of an English text that says as much."""
    return len(text) + sum((letters - 1) * len(pattern.findall(text)) for pattern, _, letters in _DENSE)


def sentences_in(line: str) -> int:
    """Sentences of a line that is not empty, by the full stops of these scripts."""
    return max(1, len(_STOPS.findall(line)))
