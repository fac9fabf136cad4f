"""Personal data in text: found, replaced, recorded. `masking.py` is the door; one module a family of kinds.

In: text. Out: the masked text and the spans. Every detector starts at a trigger (an `@`, a run of digits, the word
`Box`) and looks at a bounded stretch around it, so the cost is linear in the text; the field's expressions for e-mail
addresses are quadratic. Guards keep version numbers, sections, dates, prices and identifiers out.
"""

from glassmill.corpus.pii.masking import DETECTORS, PLACEHOLDERS, find, mask

__all__ = ["DETECTORS", "PLACEHOLDERS", "find", "mask"]
