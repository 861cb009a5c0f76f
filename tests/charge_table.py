"""What is in the tables of charges, for comparing them."""

from collections import Counter


def all_charges(finops, without="x_LoadId"):
    """Return the charges in all columns but those named, as a multiset of texts."""
    rows = finops.query(
        "SELECT CAST(charge AS VARCHAR)"
        f" FROM (SELECT * EXCLUDE ({without}) FROM focus.cost_and_usage) AS charge"
    )
    return Counter(row for (row,) in rows)
