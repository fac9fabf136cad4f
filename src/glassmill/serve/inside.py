"""The model as torch computes it, for what no decoder gives: hidden states, attention, the logit lens.

Where the engine's decoder is torch's, its own weights are used, in the engine's thread between two steps. Another
decoder keeps its weights in a form of its own: then the folder is read once more, which takes its size in memory, and
stays for as long as the model does.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from glassmill.errors import QueueFull

if TYPE_CHECKING:
    from glassmill.infer.generate import Model
    from glassmill.model.transformer import Transformer

T = TypeVar("T")
_twins: weakref.WeakKeyDictionary[Model, Transformer] = weakref.WeakKeyDictionary()
MOST_WAITING = 16
_places, _turn = threading.Semaphore(MOST_WAITING + 1), threading.Lock()


def compute(model: Model, function: Callable[[Transformer], T]) -> T:
    """`function` of the model's `Transformer`, one caller after the other.

    Raises:
        UserError: Its folder is damaged, or does not fit into memory a second time.
        QueueFull: `MOST_WAITING` callers wait already.
        EngineClosed: The engine was closed. Whatever `function` raises.
    """
    from glassmill.model.transformer import Transformer

    own = getattr(model.decoder, "model", None)
    if not _places.acquire(blocking=False):
        raise QueueFull(f"{MOST_WAITING} requests already wait to look inside a model; try again later")
    try:
        with _turn:
            if isinstance(own, Transformer):
                return model.engine.call(lambda decoder: function(own))
            return function(_twin(model))
    finally:
        _places.release()


def _twin(model: Model) -> Transformer:
    if model not in _twins:
        from glassmill.infer.folder import load_folder
        from glassmill.infer.torch_decoder import default_dtype

        _twins[model] = load_folder(model.path, dtype=default_dtype(model.path, "cpu")).model
    return _twins[model]
