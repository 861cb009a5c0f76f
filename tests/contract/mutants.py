"""Wrong versions of the mapping of AWS line items, each wrong in one place that decides money."""

import re
from itertools import combinations

COSTS = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")
_WORDS = re.compile(r"--[^\n]*|\b(?:CASE|WHEN|THEN|ELSE|END)\b|[()]")


def mutants(text):
    """Yield name and text of every mutant; each differs from ``text``."""
    for name, mutant in _all(text):
        assert mutant != text, name
        yield name, mutant


def _all(text):
    for column in (*COSTS, "cost", "unused_cost"):
        yield from _of_column(text, column)
    yield from _of_rows(text)
    yield from _of_basis(text)
    yield from _of_kinds(text)


def _of_column(text, column):
    """Swap the results of branches, make each 0 or double, forget each kind and alternative."""
    branches = list(_branches(text, column))
    for (one, a), (other, b) in combinations(enumerate(branches), 2):
        if text[slice(*a)].strip() != text[slice(*b)].strip():
            yield f"{column}: {one} swapped with {other}", _swapped(text, a, b)
    for number, (begin, end) in enumerate(branches):
        result = text[begin:end].strip()
        wrong = {"0": "cost"} if column in COSTS else {"0": "1"}
        yield f"{column}: {number} nothing", _put(text, begin, end, f" {wrong.get(result, '0')} ")
        if result != "0":
            yield (
                f"{column}: {number} doubled",
                _put(text, begin, end, f" ({result}) + ({result}) "),
            )
        yield from _fewer_alternatives(text, column, number, begin, end)
    yield from _fewer_kinds(text, column)


def _fewer_alternatives(text, column, number, begin, end):
    for found in re.finditer(r"coalesce\(", text[begin:end]):
        pieces = _arguments(text, begin + found.end())
        for piece in pieces if len(pieces) > 2 else pieces[:1]:
            if (left_out := text[slice(*piece)].strip()) != "0":
                kept = [text[slice(*each)].strip() for each in pieces if each != piece]
                yield (
                    f"{column}: {number} without {' '.join(left_out.split())}",
                    _put(text, pieces[0][0], pieces[-1][1], ", ".join(kept)),
                )


def _fewer_kinds(text, column):
    begin, end = _block(text, column)
    for found in re.finditer(r"IN \(([^)]*)\)", text[begin:end]):
        kinds = re.findall(r"'\w+'", found[1])
        for kind in kinds:
            rest = ", ".join(each for each in kinds if each != kind) or "''"
            place = begin + found.start(1), begin + found.end(1)
            yield f"{column}: no {kind} in {found[1][:40]!r}", _put(text, *place, rest)


def _of_rows(text):
    """Lose or double the charge of a line item, or the unused part of a commitment."""
    for pair in re.findall(r"\['\w+', 'Unused\w+'\]", text):
        fee, unused = re.findall(r"'\w+'", pair)
        yield f"rows: no {unused}", text.replace(pair, f"[{fee}]")
        yield f"rows: no {fee} beside {unused}", text.replace(pair, f"[{unused}]")
        yield f"rows: {unused} twice", text.replace(pair, f"[{fee}, {unused}, {unused}]")
    for kind in ("Usage", "Tax", "Credit", "SplitUsage", "SavingsPlanNegation"):
        for wrong in ("[]", "[kind, kind]"):
            case = f"CASE WHEN kind = '{kind}' THEN {wrong} ELSE [kind] END"
            yield f"rows: {kind} as {wrong}", text.replace("ELSE [kind]", f"ELSE {case}")


def _of_basis(text):
    measured = re.search(r"basis AS \(\s+SELECT (.+?)\s+AS is_net", text, re.DOTALL)[1]
    for basis in ("false", "true", f"NOT ({measured})", measured.partition(" AND ")[0]):
        yield f"basis: {basis.splitlines()[0]}", text.replace(measured, basis)
    by_row = "line_item_net_unblended_cost IS NOT NULL AS is_net"
    rows = text.replace("FROM line_item CROSS JOIN basis", "FROM line_item")
    yield "basis: row by row", rows.replace("SELECT\n        *,", f"SELECT *, {by_row},", 1)
    yield "basis: no share of the plan's discount", text.replace("net_share <> 1", "false")
    yield "basis: no residual", text.replace("coalesce(left_over, 0)", "0")


def _of_kinds(text):
    """Take a kind of line item for one that is not known."""
    begin, end = _block(text, "kind")
    for kind in re.findall(r"'([A-Z]\w+)'", text[begin:end]):
        if kind != "Unknown":
            block = text[begin:end].replace(f"'{kind}'", "'Unknown'")
            yield f"kind: {kind} not known", _put(text, begin, end, block)


def _block(text, column):
    """Return where the CASE of a column begins and ends."""
    end = re.search(rf"\bEND AS {column}\b", text).start()
    depth = 1
    for word in reversed(list(_WORDS.finditer(text, 0, end))):
        depth += {"END": 1, "CASE": -1}.get(word[0], 0)
        if not depth:
            return word.start(), end
    raise AssertionError(column)


def _branches(text, column):
    """Yield where the results of a CASE begin and end, those after THEN and the one after ELSE."""
    begin, end = _block(text, column)
    depth, start = 0, None
    for word in _WORDS.finditer(text, begin + len("CASE"), end):
        depth += {"CASE": 1, "END": -1, "(": 1, ")": -1}.get(word[0], 0)
        ends = word[0] in ("WHEN", "ELSE") or word[0].startswith("--")
        if start is not None and not depth and ends:
            yield start, word.start()
            start = None
        if not depth and word[0] in ("THEN", "ELSE"):
            start = word.end()
    yield start, end


def _arguments(text, begin):
    """Return where the arguments of a call begin and end."""
    depth, start, found = 0, begin, []
    for word in re.finditer(r"[(),]", text[begin:]):
        place = begin + word.start()
        if not depth and word[0] in ",)":
            found.append((start, place))
            start = place + 1
        depth += {"(": 1, ")": -1}.get(word[0], 0)
        if depth < 0:
            return found
    raise AssertionError(text[begin : begin + 40])


def _swapped(text, a, b):
    first, second = text[slice(*a)], text[slice(*b)]
    return text[: a[0]] + second + text[a[1] : b[0]] + first + text[b[1] :]


def _put(text, begin, end, new):
    return text[:begin] + new + text[end:]
