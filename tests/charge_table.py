"""What is in the table of charges, for comparing it."""

from collections import Counter


def all_charges(finops, without="x_LoadId", where="true"):
    """Return the charges in all columns but those named, as a multiset of texts."""
    rows = finops.query(
        "SELECT CAST(charge AS VARCHAR) FROM"
        f" (SELECT * EXCLUDE ({without}) FROM focus.cost_and_usage WHERE {where}) AS charge"
    )
    return Counter(row for (row,) in rows)
