"""CSV that a spreadsheet reads and never runs."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kit.spreadsheet import csv_lines, neutral


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1"])
def test_what_would_start_a_formula_gets_a_quote_before_it(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "paris", "2026-05-01", "a=b", "C02XK1ZJJGH5"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert neutral(cell) == cell


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=5))
def test_any_row_comes_back_cell_by_cell(cells: list[str]) -> None:
    read = list(csv.reader(io.StringIO(csv_lines([cells]).decode(), newline="")))
    assert read == [[neutral(cell) for cell in cells]]
