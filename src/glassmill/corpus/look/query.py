"""`glassmill query`: SQL over the documents of a run, kept and dropped.

In: a run of the corpus stage (or of add) and one SELECT. Out: column names and rows. DuckDB works on Arrow data that we
open for it; access to files, networks and extensions is closed before it sees the statement. A query can read the
tables `kept`, `dropped`, `quarantine`, and `documents`: kept and dropped together, with an empty `rule` for the kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from glassmill.corpus.document import DROPPED_SCHEMA, KEPT_SCHEMA
from glassmill.errors import UserError
from glassmill.printable import valid
from glassmill.run.shards import find_shards

TABLES = ("kept", "dropped", "documents", "quarantine")
QUARANTINE_SCHEMA = pa.schema([
    ("source", pa.string()), ("offset", pa.int64()), ("url", pa.string()), ("cause", pa.string()),
])  # fmt: skip
CLOSED = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)
_ALL_DOCUMENTS = """
    CREATE VIEW documents AS
    SELECT *, '' AS step, '' AS rule, NULL AS value, NULL AS bound, '' AS detail FROM kept
    UNION ALL BY NAME SELECT * FROM dropped
"""


def query(run: Path, statement: str, limit: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of `statement` over the tables of `run`; of the rows, the first `limit`.

    Example:
        >>> query(Path("runs/corpus/demo-3f9a1c"), "select rule, count(*) from dropped group by rule")  # doctest: +SKIP

    Raises:
        UserError: no such run, not a single SELECT, or DuckDB's error about the statement.
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        _open_tables(connection, run)
        try:
            parsed: Sequence[Any] = connection.extract_statements(valid(statement))
            if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
                raise UserError("expected one SELECT, such as: select rule, count(*) from dropped group by rule")
            result = connection.execute(parsed[0])
            names = [column[0] for column in result.description or []]
            return names, result.fetchall() if limit is None else result.fetchmany(limit)
        except duckdb.Error as error:
            raise UserError(f"query: {_first_lines(str(error))}; tables: {', '.join(TABLES)}") from None


def _open_tables(connection: Any, run: Path) -> None:
    kept = _parquet(run, "documents", KEPT_SCHEMA)
    dropped = _parquet(run, "dropped", DROPPED_SCHEMA)
    if kept is None:
        raise UserError(f"{run} has no documents (no shards/documents-*.parquet); name a run of the corpus stage")
    connection.register("kept", kept)
    connection.register("dropped", dropped if dropped is not None else DROPPED_SCHEMA.empty_table())
    connection.register("quarantine", _quarantine(run / "quarantine.jsonl"))
    connection.execute(_ALL_DOCUMENTS)
    for setting in CLOSED:
        connection.execute(setting)


def _parquet(run: Path, kind: str, schema: pa.Schema) -> ds.Dataset | None:
    paths = find_shards(run, kind)
    if not paths:
        return None
    have = ds.dataset(paths[0], format="parquet").schema
    return ds.dataset(paths, format="parquet", schema=have if len(have) else schema)


def _quarantine(path: Path) -> pa.Table:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in QUARANTINE_SCHEMA.names} for row in rows], schema=QUARANTINE_SCHEMA
    )


def _first_lines(text: str) -> str:
    return " ".join(text.split("\n\nLINE")[0].split())[:300]
