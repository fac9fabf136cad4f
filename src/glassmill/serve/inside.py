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

if TYPE_CHECKING:
    from glassmill.infer.generate import Model
    from glassmill.model.transformer import Transformer

T = TypeVar("T")
_twins: weakref.WeakKeyDictionary[Model, Transformer] = weakref.WeakKeyDictionary()
_loading = threading.Lock()


def compute(model: Model, function: Callable[[Transformer], T]) -> T:
    """`function` of the model's `Transformer`.

    Raises:
        UserError: Its folder is damaged, or does not fit into memory a second time.
        EngineClosed: The engine was closed. Whatever `function` raises.
    """
    from glassmill.model.transformer import Transformer

    own = getattr(model.decoder, "model", None)
    if isinstance(own, Transformer):
        return model.engine.call(lambda decoder: function(own))
    return function(_twin(model))


def _twin(model: Model) -> Transformer:
    with _loading:
        if model not in _twins:
            from glassmill.infer.folder import load_folder
            from glassmill.infer.torch_decoder import default_dtype

            _twins[model] = load_folder(model.path, dtype=default_dtype(model.path, "cpu")).model
        return _twins[model]
