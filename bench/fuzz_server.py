"""Calls that schemathesis makes up from `/openapi.json`: `python bench/fuzz_server.py --calls 5000`. None may be a 5xx.

Needs schemathesis (`pip install schemathesis`), in any environment: `--schemathesis PATH` names its command. The
server has a small random model, which answers in milliseconds; answers are counted by status.
"""

from __future__ import annotations

import argparse
import collections
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from server import save_model

SHAPE = {"d_model": 32, "num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 32, "d_ff": 32}
OPERATIONS = 8
"""Routes that take bodies; the fuzzer spreads its calls over them."""


class Counted:
    """The application, and how often it answered with each status."""

    def __init__(self, app: Any) -> None:
        self.app, self.statuses = app, collections.Counter[int]()
        self.state = app.state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from glassmill.infer.generate import Model
    from glassmill.serve.api import create_api
    from glassmill.serve.server import address_of, bind, make_server

    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / "small", {**SHAPE, "context_length": 96})
        model = Model.load(Path(folder) / "small")
        app, listener = Counted(create_api(lambda: model)), bind("127.0.0.1", 0)
        server = make_server(app)  # type: ignore[arg-type]
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        command = [
            options.schemathesis,
            "run",
            f"{address_of(listener)}/openapi.json",
            "--checks",
            "not_a_server_error",
        ]
        command += ["--max-examples", str(max(1, options.calls // OPERATIONS)), "--seed", str(options.seed)]
        command += [
            "--phases",
            "coverage,fuzzing",
            "--suppress-health-check",
            "all",
            "--no-color",
            "--continue-on-failure",
        ]
        try:
            ended = subprocess.run(command, check=False, cwd=folder, timeout=options.seconds).returncode
        except subprocess.TimeoutExpired:
            print(f"stopped after {options.seconds:.0f} s")
            ended = 0
        server.should_exit = True
        model.close()
    failed = sum(count for status, count in app.statuses.items() if status >= 500)
    told = ", ".join(f"{status}: {count:,}" for status, count in sorted(app.statuses.items()))
    print(f"{sum(app.statuses.values()):,} calls ({told}); 5xx: {failed}")
    sys.exit(1 if failed else ended)


if __name__ == "__main__":
    main()
