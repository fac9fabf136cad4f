"""A data card against mlcroissant's own checker: `python bench/papers.py runs/papers/sft-demo-3f9a1c/croissant.json`.

Needs `pip install mlcroissant`, which brings pandas, scipy and rdflib; so this is no test.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    library = importlib.import_module("mlcroissant")
    for path in sys.argv[1:]:
        metadata = library.Dataset(jsonld=path).metadata
        print(path, metadata.name, metadata.ctx.conforms_to, metadata.ctx.issues.report() or "no issues")


if __name__ == "__main__":
    main()
