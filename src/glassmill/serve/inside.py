"""The model as torch computes it, for what no decoder gives: hidden states, attention, the logit lens.

Where the engine's decoder is torch's, its own weights are used, in the engine's thread between two steps. Another
decoder keeps its weights in a form of its own: then the folder is read once more, which takes its size in memory, and
stays for as long as the model does.

What happened in a model when it read a text is kept, so that a reader who goes from token to token, or from head to
head, asks for one pass and not for one each.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from glassmill.errors import ApiError, QueueFull

if TYPE_CHECKING:
    from glassmill.infer.generate import Model
    from glassmill.model.trace import Trace
    from glassmill.model.transformer import Transformer

T = TypeVar("T")
_twins: weakref.WeakKeyDictionary[Model, Transformer] = weakref.WeakKeyDictionary()
MOST_WAITING = 16
_places, _turn = threading.Semaphore(MOST_WAITING + 1), threading.Lock()
KEPT_BYTES = 128 << 20
"""Of the passes of one model; a larger one is not kept."""
SMALL_FLOPS = 2e9
"""Work that one thread does in less time than two need to wait for each other on a busy machine."""
_passes: weakref.WeakKeyDictionary[Model, OrderedDict[tuple[int, ...], Trace]] = weakref.WeakKeyDictionary()


def compute(
    model: Model,
    function: Callable[[Transformer], T],
    num_tokens: int,
    gone: Callable[[], bool] = lambda: False,
) -> T:
    """`function` of the model's `Transformer`, one caller after the other.

    Args:
        model: The model.
        function: Called with the model's weights.
        num_tokens: How many it reads.
        gone: Whether nobody waits for the answer any more; asked when its turn comes.

    Raises:
        ApiError: 499: nobody waits.
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
            if gone():
                raise ApiError(499, "the client left before its turn came")
            small = 2 * model.num_parameters * num_tokens < SMALL_FLOPS
            if isinstance(own, Transformer):
                return model.engine.call(lambda decoder: _with_threads(small, lambda: function(own)))
            twin = _twin(model)
            return _with_threads(small, lambda: function(twin))
    finally:
        _places.release()


def look(model: Model, transformer: Transformer, ids: Sequence[int], top: int, attention: bool) -> Trace:
    """What happens in `transformer`, which is `model`'s, when it reads `ids`; to be called in `compute`.

    Args:
        model: Whose passes are kept.
        transformer: Its weights.
        ids: Token ids, within the context.
        top: Tokens that the lens names at least.
        attention: Whether the weights of attention are wanted. They are kept wherever there is room, for they are asked
            for next.
    """
    from glassmill.model.trace import trace

    kept, key = _passes.setdefault(model, OrderedDict()), tuple(ids)
    seen = kept.pop(key, None)
    num_weights = model.config.num_layers * model.config.num_heads * len(ids) ** 2
    if seen is None or seen.lens_ids_RTK.shape[2] < top or attention > len(seen.attention_LNTS):
        seen = trace(transformer, ids, top, attention or 4 * num_weights <= KEPT_BYTES // 2)
    if seen.num_bytes <= KEPT_BYTES:
        kept[key] = seen
        while sum(one.num_bytes for one in kept.values()) > KEPT_BYTES:
            kept.popitem(last=False)
    return seen


def _with_threads(small: bool, function: Callable[[], T]) -> T:
    """`function()`, by one thread if its work is small."""
    import torch

    from glassmill.model.threads import pinned_threads

    with pinned_threads(1 if small else torch.get_num_threads()):
        return function()


def _twin(model: Model) -> Transformer:
    if model not in _twins:
        from glassmill.infer.folder import load_folder
        from glassmill.infer.torch_decoder import default_dtype

        _twins[model] = load_folder(model.path, dtype=default_dtype(model.path, "cpu")).model
    return _twins[model]
