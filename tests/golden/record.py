"""Record the golden losses anew: `python tests/golden/record.py`. Say in the commit why they had to change."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "src")]

from glassmill.run.device import resolve  # noqa: E402
from tests.golden.losses import measure  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    device = resolve()
    rounded = {name: [round(loss, 6) for loss in values] for name, values in found.items()}
    text = json.dumps({"torch": device.torch_version, "processor": device.processor, **rounded})
    (HERE / "losses.json").write_text(text.replace("[", "[\n").replace("], ", "],\n") + "\n", encoding="utf-8")
    for name, values in rounded.items():
        print(f"{name}: {len(values)} steps, {values[0]:.4f} to {values[-1]:.4f}")


if __name__ == "__main__":
    main()
