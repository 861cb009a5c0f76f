"""The spelling AWS gives the columns of its Parquet files and of CUR 2.0."""

from __future__ import annotations

import re


def aws_column_name(original: str) -> str:
    """Spell a CUR 1 column name the way AWS spells it in Parquet.

    ``reservation/ReservationARN`` becomes ``reservation_reservation_a_r_n``. Several
    originals may meet in one name; AWS merges those columns.
    """
    spaced = re.sub(r"([A-Z])", r"_\1", original).lower()
    return re.sub(r"[^a-z0-9]+", "_", spaced).strip("_")
