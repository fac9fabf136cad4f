"""Writes the page's types of events, `studio/static/js/state/events.d.ts`, from the Python classes that define them.

    python scripts/event_types.py

Run it after a change of `glassmill/run/kinds.py` or `states.py`; a test compares the committed file with its output.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from glassmill.run.kinds import COLUMNS, KINDS
from glassmill.run.states import State

TARGET = Path(__file__).parents[1] / "src/glassmill/studio/static/js/state/events.d.ts"
TYPES: dict[object, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    int | None: "number | null",
    float: "number | null",  # JSON has no NaN
    float | None: "number | null",
    Mapping[str, int]: "Record<string, number>",
    Mapping[str, float]: "Record<string, number | null>",
    tuple[str, ...]: "string[]",
    tuple[float, ...]: "(number | null)[]",
}
BASE = {"t": "number", "stage": "string", "run": "string"}
UNSENT = {"shard", "alive", "window"}
"""Kinds that the page never gets as events."""
HEAD = """\
// The events of a run as the page receives them: `t` in seconds since 1970, `run` such as "corpus/demo-3f9a1c", and the
// fields of the kind. A number is null where it was not finite. Written by scripts/event_types.py; do not edit.

"""


def event_types() -> str:
    """The file's text: a type for every kind that the page gets, their union, and the states."""
    text, names = HEAD, []
    for kind, one in KINDS.items():
        if kind in UNSENT:
            continue
        names.append(one.__name__)
        fields = {column.name: TYPES[column.hint] for column in COLUMNS[kind]}
        columns = {**BASE, "kind": f'"{kind}"', **{name: hint for name, hint in fields.items() if name not in BASE}}
        shape = ", ".join(f"{name}: {hint}" for name, hint in columns.items())
        text += f"/** {one.__doc__} */\nexport type {one.__name__} = {{{shape}}};\n"
    states = " | ".join(f'"{state}"' for state in get_args(State))
    text += f"\n/** Any event. */\nexport type RunEvent = {' | '.join(names)};\n"
    return text + f"/** How far a stage or a line is. */\nexport type State = {states};\n"


if __name__ == "__main__":
    TARGET.write_text(event_types(), encoding="utf-8")
