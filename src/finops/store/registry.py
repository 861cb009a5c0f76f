"""The column registry: the names and types that a dataset's columns were given, for ever."""

from __future__ import annotations

from collections.abc import Sequence

from finops.columns import ColumnType, SourceColumn, StoredColumn, assign_names, widen
from finops.sql import Connection, query


def read_registry(db: Connection, dataset: str) -> dict[str, StoredColumn]:
    """Return a dataset's columns by original name, in the order that ``billing`` shows.

    The vendor's contract comes first, then other columns by name, so the order in
    which deliveries came decides nothing.
    """
    rows = query(
        db,
        "SELECT original, name, type FROM finops.column_registry WHERE dataset = ?"
        " ORDER BY position NULLS LAST, name",
        [dataset],
    )
    return {row[0]: StoredColumn(row[0], row[1], ColumnType(row[2])) for row in rows}


def register_columns(
    db: Connection, dataset: str, columns: Sequence[SourceColumn], load_id: str
) -> dict[str, StoredColumn]:
    """Add new columns, widen types, and return the whole registry of the dataset."""
    known = read_registry(db, dataset)
    names = assign_names(
        [column.original for column in columns],
        {original: stored.name for original, stored in known.items()},
    )
    types = {original: stored.type for original, stored in known.items()}
    positions: dict[str, int | None] = {}
    for column in columns:
        types[column.original] = widen(types.get(column.original, column.type), column.type)
        positions[column.original] = column.position
    new = [original for original in types if original not in known]
    query(
        db,
        "INSERT INTO finops.column_registry SELECT $dataset, unnest($originals::VARCHAR[]),"
        " unnest($names::VARCHAR[]), unnest($types::VARCHAR[]), unnest($positions::INTEGER[]),"
        " $load_id",
        {
            "dataset": dataset,
            "originals": new,
            "names": [names[original] for original in new],
            "types": [str(types[original]) for original in new],
            "positions": [positions[original] for original in new],
            "load_id": load_id,
        },
    )
    for original, kind in types.items():
        if original in known and known[original].type != kind:
            query(
                db,
                "UPDATE finops.column_registry SET type = ? WHERE dataset = ? AND original = ?",
                [kind, dataset, original],
            )
    return read_registry(db, dataset)
