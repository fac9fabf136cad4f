"""glassmill: web pages go in, a language model you can talk to comes out, and you can look into every step.

The names below are the Python API; they load what they need when they are first used, so importing the package is
cheap.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import glassmill.run as _run_package

# Before anything loads torch: a thread that waits for the other spins a moment (microseconds) and then sleeps. On a
# machine that does something else besides, threads that spin on keep the core from the very thread they wait for:
# training
# slows down tenfold. Sleeping at once costs a quarter of the speed on a quiet machine.
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
