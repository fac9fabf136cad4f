"""glassmill: web pages go in, a language model you can talk to comes out, and you can look into every step.

`__all__` is the Python API. Each name loads what it needs on first use, so importing the package is cheap.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import glassmill.run as _run_package

# Before anything loads torch: a waiting OpenMP thread spins for some microseconds, then sleeps. If it kept spinning on
# a busy machine, it would hold the core that the thread it waits for needs, and training would be ten times slower.
# Sleeping at once costs a quarter of the speed on a quiet machine.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from glassmill.api import Run, documents
    from glassmill.errors import UserError
    from glassmill.infer.generate import Model
    from glassmill.tokens.tokenizer import Tokenizer


class _CallablePackage(ModuleType):
    """`glassmill.run` is the package of run folders and, called, the function `glassmill.api.run`."""

    def __call__(self, *arguments: Any, **named: Any) -> Run:
        from glassmill.api import run

        return run(*arguments, **named)


_run_package.__class__ = _CallablePackage

_HOMES = {
    "Run": "glassmill.api",
    "documents": "glassmill.api",
    "Tokenizer": "glassmill.tokens.tokenizer",
    "Model": "glassmill.infer.generate",
    "UserError": "glassmill.errors",
}

__all__ = ["Model", "Run", "Tokenizer", "UserError", "__version__", "documents", "run"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("glassmill")
    if name not in _HOMES:
        raise AttributeError(f"module 'glassmill' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
