"""The web's text encodings: labels, decoders that agree with browsers, and a detector for text without a label.

Source: the Encoding Standard (https://encoding.spec.whatwg.org/).
"""

from glassmill.encodings.decoders import decode_as
from glassmill.encodings.detect import detect
from glassmill.encodings.labels import encoding_of_label

__all__ = ["decode_as", "detect", "encoding_of_label"]
