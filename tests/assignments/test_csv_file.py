"""Files as spreadsheets and the portal write them, and what becomes of every row."""

import contextlib
import csv
import io
import zipfile
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.assignments import csv_file
from bot.assignments.csv_file import (
    CsvEmpty,
    CsvQuoteOpen,
    CsvTooBig,
    CsvTooLong,
    CsvUnusable,
    CsvWithoutSerials,
    NotCsv,
    read_serials,
)
from bot.devices.csv import HEADINGS
from bot.kit.errors import EnrollbotError
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines

A, B, C = "C02XK1ZJJGH5", "F9FXQ1GCJF8J", "H2XQ7M9K3L"

EXCEL_ENGLISH = f"\ufeffSerial Number,Model,Price\r\n{A},iPad Air,1.50\r\n{B},MacBook Pro,2.50\r\n".encode()
EXCEL_GERMAN = f"Gerät;Seriennummer;Preis\r\nTom;{A};1,50\r\nÄnne;{B};2,50\r\n".encode("cp1252")
EXCEL_FRENCH = f"sep=;\r\nPrix;Numéro de série\r\n1 200,50 €;{A}\r\n2 300,50 €;{B}\r\n".encode("cp1252")
EXCEL_UNICODE_TEXT = f"\ufeffModèle\tNuméro de série\r\niPad\t{A}\r\niPad\t{B}\r\n".encode("utf-16-le")
EXCEL_OLD_MAC = f"Modèle;Numéro de série\riPad;{A}\riPad;{B}\r".encode("mac_roman")
NUMBERS = f"Table 1\n\nSerial No,Owner\n{A},Tom\n{B},Zoë".encode()
LIBREOFFICE = f'"Owner","Número de serie"\n"Núñez, Ana","{A}"\n"O""Neill","{B}"\n'.encode()
ABM_DEVICES = (
    f"Serial Number,Product Family,Device Model,MDM Server,Date Added,Order Number,IMEI\r\n"
    f'{A},Mac,"MacBook Pro 14"" M3",Paris,2026-04-01,123456789,\r\n'
    f"{B},iPad,iPad Air,,2026-04-01,123456789,350000000000001\r\n"
).encode()
ABM_ACTIVITY = (
    "Activity ID,1a2b3c4d\nEvent,ASSIGN_DEVICES\nInitiated By,Ann Admin\nServer,Paris\nTotal Count,2\n\n"
    f"line_number,serial_number,status,message\n1,{A},UPDATED\n2,{B},NOT_ACCESSIBLE,No such device\n"
).encode()


@pytest.mark.parametrize(
    ("content", "column", "encoding", "delimiter"),
    [
        pytest.param(EXCEL_ENGLISH, "Serial Number", "utf-8-sig", ",", id="Excel, English"),
        pytest.param(EXCEL_GERMAN, "Seriennummer", "cp1252", ";", id="Excel, German"),
        pytest.param(EXCEL_FRENCH, "Numéro de série", "cp1252", ";", id="Excel, French, with a sep line"),
        pytest.param(EXCEL_UNICODE_TEXT, "Numéro de série", "utf-16-le", "\t", id="Excel, Unicode text"),
        pytest.param(EXCEL_OLD_MAC, "NumŽro de sŽrie", "cp1252", ";", id="Excel, Macintosh CSV"),
        pytest.param(NUMBERS, "Serial No", "utf-8", ",", id="Numbers, with the table's name"),
        pytest.param(LIBREOFFICE, "Número de serie", "utf-8", ",", id="LibreOffice, all quoted"),
        pytest.param(ABM_DEVICES, "Serial Number", "utf-8", ",", id="ABM, devices"),
        pytest.param(ABM_ACTIVITY, "serial_number", "utf-8", ",", id="ABM, activity log"),
    ],
)
def test_serials_are_found_in_what_these_programs_write(
    content: bytes, column: str, encoding: str, delimiter: str
) -> None:
    read = read_serials(content, "devices.csv")
    assert read.serials == (A, B)
    assert (read.column, read.encoding, read.delimiter) == (column, encoding, delimiter)
    assert (read.rows, read.blank, read.duplicates, read.damaged, read.unusable) == (2, 0, 0, (), ())
    assert read.has_header


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["CRLF", "LF", "CR"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
def test_a_plain_list_has_one_serial_a_line(encoding: str, end: str) -> None:
    read = read_serials(end.join([A, B, C]).encode(encoding))
    assert read.serials == (A, B, C)
    assert (read.column, read.delimiter, read.has_header) == (None, None, False)


def test_utf_16_with_the_mark_of_the_other_order_is_read() -> None:
    read = read_serials(b"\xfe\xff" + f"{A}\n{B}".encode("utf-16-be"))
    assert (read.serials, read.encoding) == ((A, B), "utf-16-be")


@pytest.mark.parametrize(
    "heading",
    [
        *("serial", "Serials", "SERIAL NUMBER", "serial_number", "serialNumber", "Serial No.", "Serial #"),
        *(
            "SN",
            "S/N",
            "Device serial number",
            "Hardware Serial Number",
            "Apple serial",
            "\u200bSerial number ",
        ),
        *(
            "Numéro de série",
            "NUMERO DE SERIE",
            "N° de série",
            "Nume\u0301ro de se\u0301rie",
            "NumÃ©ro de sÃ©rie",
        ),
        *("Seriennummer", "Geräte-Seriennummer", "Serien-Nr.", "Serienummer", "Número de serie"),
        *("Número de série", "Numero di serie", "numero seriale", "Numer seryjny", "シリアル番号", "序列号"),
        '="Serial"',
    ],
)
def test_a_heading_is_known_wherever_it_stands(heading: str) -> None:
    quoted = heading.replace('"', '""')
    read = read_serials(f'Name,"{quoted}",Tag\nTom,{A},LAPTOP0001\nAnn,{B},LAPTOP0002\n'.encode())
    assert read.serials == (A, B)


@pytest.mark.parametrize(
    "heading",
    ["Model", "Battery serial", "Serial numbers of 12 devices", "Series", "Snow", "Server", "x" * 90],
)
def test_other_headings_are_not_taken_for_it(heading: str) -> None:
    read = read_serials(f"Name,{heading}\n{A},F9FX0000AAAA\n".encode())
    assert (read.serials, read.column, read.has_header) == ((A,), "Name", True)


def test_a_title_above_the_headings_is_no_heading() -> None:
    read = read_serials(f"Serial numbers,\nModel,Serial number\niPad,{A}\n".encode())
    assert (read.serials, read.rows) == ((A,), 1)


def test_a_second_table_below_the_first_is_read_with_it() -> None:
    read = read_serials(f"Serial,Model\n{A},iPad\nSerial,Model,Owner\n{B},iPad,Tom\n".encode())
    assert read.serials == (A, B)


def test_what_the_bot_itself_exports_is_read() -> None:
    row = [A, *("x" for _ in HEADINGS[1:])]
    read = read_serials(BYTE_ORDER_MARK + csv_lines([HEADINGS, row]))
    assert (read.serials, read.column) == ((A,), "serial")


def test_headings_that_come_again_are_no_serial_numbers() -> None:
    read = read_serials(f"Serialnumber\n{A}\nSERIALNUMBER\n{B}\n".encode())
    assert read.serials == (A, B)
    assert [(cell.row, cell.reason) for cell in read.unusable] == [(3, "a heading")]


def test_the_first_column_is_read_where_no_heading_names_another() -> None:
    read = read_serials(f"{A};{B}9;x\n{C};;y\n".encode())
    assert (read.serials, read.has_header, read.delimiter) == ((A, C), False, ";")


def test_another_delimiter_in_a_quoted_note_does_not_mislead() -> None:
    read = read_serials(f'{A}\t";\n1"\tx\n{B}\t";\n1"\tx\n'.encode())
    assert (read.serials, read.rows, read.delimiter) == ((A, B), 2, "\t")


def test_a_list_in_one_line_is_read_to_its_end() -> None:
    assert read_serials(f"{A}, {B}, {C}\n".encode()).serials == (A, B, C)


def test_one_device_with_its_model_is_no_list() -> None:
    assert read_serials(f"{A},MacBookPro\n".encode()).serials == (A,)


@pytest.mark.parametrize(
    "cell",
    [
        *(f" {A} ", f"\u00a0{A}\u202f", f"\u200b{A}\u200d", f"\ufeff{A}", f"\u202a{A}\u202c", f"\x1d{A}"),
        *(f'="{A}"', f"'{A}", f"“{A}”", A.lower(), f"{A[:4]}\u200b{A[4:]}", f"{A}\n"),
    ],
)
def test_what_stands_around_a_serial_is_taken_off(cell: str) -> None:
    assert read_serials(_written([["Serial"], [cell], [B]])).serials == (A, B)


def test_the_s_of_a_barcode_stays() -> None:
    assert read_serials(f"S{A}\nSC02XK1ZJJ\n".encode()).serials == (f"S{A}", "SC02XK1ZJJ")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1.23E+11", "a power of ten"),
        ("7,62E+11", "a power of ten"),
        ("1E+11", "a power of ten"),
        ("1.23457e11", "a power of ten"),
        ("3.5E-07", "a power of ten"),
        ("123456789012", "digits only"),
        ("123456", "digits only"),
        ("12345678.0", "digits only"),
        ("#REF!", "an error of the spreadsheet"),
        ("########", "an error of the spreadsheet"),
    ],
)
def test_what_a_spreadsheet_damages_is_named_with_its_row(cell: str, reason: str) -> None:
    read = read_serials(_written([["Serial"], [A], [cell], [B]]))
    assert read.serials == (A, B)
    assert [(one.row, one.text, one.reason) for one in read.damaged] == [(3, cell, reason)]
    assert read.unusable == ()


def test_digits_around_one_e_may_be_a_serial() -> None:
    assert read_serials(b"12E45678\n").serials == ("12E45678",)


@pytest.mark.parametrize(
    ("cell", "shown", "reason"),
    [
        ("C02X", "C02X", "too short"),
        ("C02XK1ZJJGH5ABC", "C02XK1ZJJGH5ABC", "too long"),
        ("42", "42", "a number"),
        ("350000000000001", "350000000000001", "a number"),
        ("C02X K1ZJ JGH5", "C02X K1ZJ JGH5", "more than one word"),
        (f"{A}\n{B}", f"{A} {B}", "more than one word"),
        ("C02X-K1ZJ", "C02X-K1ZJ", "“-” is in no serial number"),
        ("C02XK1ZJß", "C02XK1ZJß", "“ß” is in no serial number"),
        ("١٢٣٤٥٦٧٨٩", "١٢٣٤٥٦٧٨٩", "“١” is in no serial number"),
        ("x" * 50, "x" * 40 + "…", "too long"),
    ],
)
def test_what_is_no_serial_is_named_with_its_row(cell: str, shown: str, reason: str) -> None:
    read = read_serials(_written([["Serial"], [A], [cell], [B]]))
    assert read.serials == (A, B)
    assert [(one.row, one.text, one.reason) for one in read.unusable] == [(3, shown, reason)]
    assert read.damaged == ()


def test_the_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    content = f'sep=;\r\nTitle\r\n\r\nNote;Serial\r\n"two\r\nlines";{A}\r\n\r\n;bad\r\n'.encode()
    read = read_serials(content)
    assert [(cell.row, cell.text) for cell in read.unusable] == [(6, "bad")]


def test_a_serial_that_comes_again_counts_once_and_blank_rows_at_the_end_do_not() -> None:
    read = read_serials(f"Serial,Owner\n{B},\n{A},\n{B.lower()},\n,Tom\n,\n{C},\n,\n,\n\n".encode())
    assert read.serials == (B, A, C)
    assert (read.rows, read.duplicates, read.blank) == (6, 1, 2)


def test_short_and_long_rows_are_read() -> None:
    read = read_serials(f"Model,Serial\niPad,{A},more,cells\niPad\nTotal,2\n".encode())
    assert (read.serials, read.blank, len(read.unusable)) == ((A,), 1, 1)


def test_what_became_of_the_rows_is_said_in_words() -> None:
    bad = "\n".join(f"bad{number}" for number in range(5))
    read = read_serials(f"Serial,x\n{A},\n{A},\n,x\n{B},\n7.62E+11,\n{bad}\n".encode())
    assert read.in_words() == (
        "10 rows read in the column “Serial”: 2 serial numbers.",
        "1 row without a serial number left out.",
        "1 row with a serial number that stands above left out.",
        "1 row left out that a spreadsheet has probably damaged: row 6 “7.62E+11” (a power of ten). Take them"
        " from their source again, into cells formatted as text.",
        "5 rows left out that cannot be a serial number: row 7 “bad0” (too short), row 8 “bad1” (too short),"
        " row 9 “bad2” (too short) and 2 more.",
    )
    assert read_serials(ABM_ACTIVITY).in_words() == (
        "2 rows read in the column “serial_number”: 2 serial numbers.",
        "5 rows above the headings not read.",
    )
    assert read_serials(A.encode()).in_words() == (
        "1 row read in the first column, as there are no headings: 1 serial number.",
    )


# What is refused


def _zip(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (_zip("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (_zip("Index/Document.iwa"), "a Numbers spreadsheet"),
        (_zip("list.csv"), "a ZIP archive"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b"\x1f\x8b\x08\x00", "a compressed file"),
        (b"<!DOCTYPE html>\n<table>", "a web page"),
    ],
)
def test_another_kind_of_file_is_named_and_how_to_make_csv_of_it(content: bytes, kind: str) -> None:
    with pytest.raises(NotCsv, match=rf"devices is {kind}, not CSV\. Save it as CSV") as refused:
        read_serials(content, "devices")
    assert refused.value.kind == kind


def test_a_binary_file_that_nobody_knows_is_no_csv() -> None:
    with pytest.raises(NotCsv, match=r"The file is not a text file\. Save it as CSV"):
        read_serials(bytes(range(256)))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b" \r\n\t\r\n", b"\x00\x00"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(CsvEmpty, match=r"list\.csv is empty"):
        read_serials(content, "list.csv")


def test_a_file_without_a_serial_number_says_what_it_has_instead() -> None:
    with pytest.raises(CsvWithoutSerials, match="Give the column that has them the heading") as refused:
        read_serials(b"Name,Id\nTom,1\nAnn,2\n", "list.csv")
    assert refused.value.message == (
        "There is no serial number in the column “Name” of list.csv: row 2 “Tom” (too short), row 3 “Ann”"
        " (too short)."
    )
    assert refused.value.read.rows == 2


def test_a_file_of_damaged_serials_only_says_so() -> None:
    with pytest.raises(CsvWithoutSerials, match="A spreadsheet has probably damaged them"):
        read_serials(b"Serial\n7.62E+11\n1.23E+11\n")


def test_a_quote_that_is_never_closed_does_not_swallow_rows_in_silence() -> None:
    with pytest.raises(CsvQuoteOpen, match=r"In row 3 of list.csv a quotation mark opens") as refused:
        read_serials(f'Serial,Note\n{A},x\n{B},"15 inch\n{C},y\n'.encode(), "list.csv")
    assert refused.value.row == 3


def test_a_quote_that_swallows_more_than_the_reader_takes_is_named_too() -> None:
    with pytest.raises(CsvQuoteOpen) as refused:
        read_serials(f'Serial,Note\n{A},"'.encode() + b"x\n" * 100_000)
    assert refused.value.row == 2


def test_a_text_without_rows_is_no_csv() -> None:
    with pytest.raises(NotCsv, match=r"list\.txt is another kind of text, not CSV"):
        read_serials(b"x" * 200_000, "list.txt")


def test_too_large_a_file_is_refused() -> None:
    with pytest.raises(CsvTooBig, match=r"larger than 10 MB\. Keep only the column"):
        read_serials(b"x" * (csv_file.MOST_BYTES + 1))


def _many(count: int) -> list[str]:
    return [f"C02{number:07}" for number in range(count)]


def test_a_hundred_thousand_rows_are_read() -> None:
    serials = _many(csv_file.MOST_ROWS)
    content = "Model;Serial\r\n" + "".join(f"iPad;{serial}\r\n" for serial in serials) + ";\r\n" * 50_000
    assert read_serials(content.encode()).serials == tuple(serials)


def test_one_row_more_is_refused() -> None:
    content = "\n".join(_many(csv_file.MOST_ROWS + 1)).encode()
    with pytest.raises(CsvTooLong, match=r"more than 100,000 rows\. Split it into files of at most 100,000"):
        read_serials(content)


def test_blank_rows_between_serials_count_as_rows() -> None:
    with pytest.raises(CsvTooLong):
        read_serials(f"{A}\n".encode() + b"\n" * csv_file.MOST_ROWS + f"{B}\n".encode())


# Whatever is written


class _Semicolons(csv.excel):
    delimiter = ";"


class _MacLines(csv.excel):
    lineterminator = "\r"


def _written(rows: Sequence[Sequence[str]], dialect: type[csv.Dialect] = csv.excel) -> bytes:
    return _text(rows, dialect).encode()


def _text(rows: Sequence[Sequence[str]], dialect: type[csv.Dialect]) -> str:
    text = io.StringIO()
    csv.writer(text, dialect).writerows(rows)
    return text.getvalue()


_SERIALS = st.lists(
    st.from_regex(r"[A-HJ-NP-Z][0-9][A-HJ-NP-Z0-9]{6,12}", fullmatch=True),
    min_size=1,
    max_size=30,
    unique=True,
)
_NOTES = st.text("ab 1,;\t\"'éß€=\n", max_size=8)


@settings(max_examples=30, deadline=None)
@given(
    serials=_SERIALS,
    note=_NOTES,
    dialect=st.sampled_from([csv.excel, csv.excel_tab, csv.unix_dialect, _Semicolons, _MacLines]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    heading=st.sampled_from([None, "Serial number", "Numéro de série"]),
    is_alone=st.booleans(),
)
def test_serials_come_back_in_order_from_every_dialect_and_encoding(
    serials: list[str],
    note: str,
    dialect: type[csv.Dialect],
    encoding: str,
    heading: str | None,
    is_alone: bool,
) -> None:
    # The writer quotes a new line only where it ends this dialect's rows.
    note = note.replace("\n", dialect.lineterminator)
    others = [] if is_alone else [note, "x"]
    rows = [[serial, *others] for serial in serials]
    if heading:
        rows = [row[::-1] for row in [[heading, *others], *rows]]
    read = read_serials(_text(rows, dialect).encode(encoding))
    assert read.serials == tuple(serials)
    assert read.rows == len(serials)
    assert read.has_header is (heading is not None)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(str.encode)
    | st.text('S"N,;\t\r\n=#1E+ C02XK1ZJ\ufeff\x00', max_size=200).map(lambda text: text.encode("utf-16-le"))
)
def test_whatever_the_bytes_are_every_row_is_accounted_for_or_the_refusal_is_named(content: bytes) -> None:
    with contextlib.suppress(CsvUnusable):
        read = read_serials(content)
        kinds = (len(read.serials), read.blank, read.duplicates, len(read.damaged), len(read.unusable))
        assert sum(kinds) == read.rows
        assert read.in_words()


def test_every_refusal_says_what_to_do() -> None:
    refusals = [
        (b"", CsvEmpty),
        (b"%PDF-", NotCsv),
        (b"x", CsvWithoutSerials),
        (b'"x', CsvQuoteOpen),
    ]
    for content, kind in refusals:
        with pytest.raises(kind) as refused:
            read_serials(content)
        assert isinstance(refused.value, EnrollbotError)
        assert refused.value.next_step
