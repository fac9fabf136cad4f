"""Native work that asks for threads; run by test_threads.py where the system starts none.

python no_threads.py processes|memory|unlimited      # prints a hash of the results
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import sys
import threading
from pathlib import Path

from glassmill import native

TEXTS = [" ".join(f"word{i * j % 9973} {i + j}" for j in range(4000)) for i in range(40)]
SPARE = 512 * 2**20  # bytes that may still be mapped: enough for the work, less than one thread's stack


def forbid_threads(limit: str) -> None:
    if limit == "processes":  # ulimit -u
        with contextlib.suppress(OSError):  # another user, because the limit does not bind root
            os.setuid(54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    else:  # ulimit -v; whoever starts this has made every thread's stack large
        mapped = int(re.findall(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (mapped + SPARE, mapped + SPARE))
    try:
        threading.Thread(target=print).start()
    except RuntimeError:
        return
    raise AssertionError("a thread was started under the limit")


def work() -> str:
    """BPE training on two threads, then encoding on four."""
    trainer = native.Trainer("llama3", threads=2)
    trainer.add(TEXTS * 12)  # more than what is counted in the background at a time
    pairs, counts = trainer.train(600)
    symbols = [bytes([value]) for value in range(256)]
    for left, right in pairs.tolist():
        symbols.append(symbols[left] + symbols[right])
    encoder = native.Encoder({symbol: rank for rank, symbol in enumerate(symbols)}, "llama3")
    ids, ends = encoder.encode_flat(TEXTS, threads=4)
    batch = b"".join(array.tobytes() for array in encoder.encode_batch(TEXTS, threads=4))
    assert batch == ids.tobytes()
    return hashlib.sha256(pairs.tobytes() + counts.tobytes() + batch + ends.tobytes()).hexdigest()


if __name__ == "__main__":
    native.Encoder({bytes([value]): value for value in range(256)}, "llama3").encode("warm")  # NumPy is loaded
    limited = sys.argv[1] != "unlimited"
    if limited:
        forbid_threads(sys.argv[1])
    print(work())
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert (threads == 1) == limited, f"{threads} threads"
