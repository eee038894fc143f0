"""CSV as spreadsheets read it, with formulas made harmless."""

import csv
import io
from collections.abc import Iterable, Sequence

#: What makes a spreadsheet take a cell for a formula. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: What a spreadsheet looks for at the beginning of a file to read it as UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def neutral(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a quote before what would start one."""
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as lines of CSV in UTF-8; a file begins with `BYTE_ORDER_MARK` and its headings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
    return text.getvalue().encode("utf-8", "replace")
