"""Personal data in text: found, replaced, recorded. Start at `masking.py`; each family of kinds has a module.

In: text. Out: the masked text and the spans. Every detector starts at a trigger (an `@`, a run of digits, the word
`Box`) and looks at a bounded stretch around it, so the cost is linear in the text; the usual expressions for e-mail
addresses are quadratic. Guards exclude version numbers, sections, dates, prices and identifiers.
"""

from glassmill.corpus.pii.masking import DETECTORS, PLACEHOLDERS, find, mask
from glassmill.corpus.pii.reserved import leaving

__all__ = ["DETECTORS", "PLACEHOLDERS", "find", "leaving", "mask"]
