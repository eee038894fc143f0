"""Serial numbers from whatever file a spreadsheet or the service's portal wrote. Pure.

Nothing is guessed from statistics. The encoding follows three rules, the delimiter is the one of three with
which serial numbers stand alone in their cells, and a cell is a serial number or is named with its row and
the reason.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from bot.kit.errors import EnrollbotError

MOST_ROWS = 100_000
MOST_BYTES = 10 * 1024 * 1024

_DELIMITERS = (",", ";", "\t")
#: Rows that are looked at to find the delimiter.
_SAMPLE = 200
#: The portal's activity log has rows before its headings. A heading further down is a cell like others.
_MOST_PREAMBLE = 50
#: Where a heading is looked for: a row may have as many cells as the file has bytes.
_MOST_COLUMNS = 500
#: Serial numbers that a file's only row begins with when it is a list.
_LIST = 20
_LONGEST_HEADING = 60
_LONGEST_SHOWN = 40
#: Ends what the reader is given. No text has it, see `_decoded`.
_END = "\x00"

_SHAPE = re.compile(r"[A-Za-z0-9]{8,14}")
# 1.23E+11 and 7,62E+11 are what is left of 123E4567 or of twelve digits. The sign or the decimals have to be
# there: 12E45678 by itself may be a serial number.
_POWER = re.compile(r"\d+([.,]\d+)?E[+-]\d+|\d+[.,]\d+E\d+", re.IGNORECASE)
# Serial numbers have letters. Digits alone, as long as a serial number or shorter by two zeros that a
# spreadsheet took from the front, were something else before, or are another number (an asset tag, an order).
# Which of the two, nobody can tell from the file; neither may be assigned. Data tools add `.0` to numbers.
_DIGITS = re.compile(r"\d{6,14}([.,]0*)?", re.ASCII)
# Compared with letters and digits only, accents and case aside. An accented letter may also have become
# another one, two or none, where a program took the file for one in another encoding.
_HEADING = re.compile(
    r"(device|hardware|apple|product|computer|mac|ipad|iphone|ger(ae|a|at)te?)?"
    r"(serials?|serial(number|num|no|nr)s?|sn|serien?(nummern?|nr)|numerseryjny|シリアル番号|序列号"
    r"|numeroseriale|(n|no|nr|num|num[a-z]{0,2}ros?)(d[ei])?s[a-z]{0,2}rie)"
)
# Soft hyphens, joiners, marks of direction, variation selectors, byte order marks: seen by nobody, copied by
# many.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
# Spaces of every width, and control characters that scanners send.
_SPACES = (
    "".join(map(chr, (*range(0x21), *range(0x7F, 0xA1), *range(0x2000, 0x200B))))
    + "\u1680\u2028\u2029\u202f\u205f\u3000"
)
_AROUND = _SPACES + "\"'`´“”„‟‘’‚«»"
_POWER_OF_TEN = "a power of ten"
_DIGITS_ONLY = "digits only"
#: #REF! and the like, and the ##### of a column that is too narrow.
_ERROR = "an error of the spreadsheet"
_DAMAGES = frozenset({_POWER_OF_TEN, _DIGITS_ONLY, _ERROR})

_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t:^~ ])"?[,; \t]*(\r\n|\r|\n|$)', re.IGNORECASE)

_BEGINNINGS = (
    (b"%PDF-", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"bplist00", "a property list"),
    (b"{\\rtf", "a document with formatted text"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "XML"),
)
#: Files in a ZIP have their names in clear.
_IN_ZIP = (
    (b"xl/workbook", "an Excel workbook"),
    (b"opendocument.spreadsheet", "a LibreOffice spreadsheet"),
    (b".iwa", "a Numbers spreadsheet"),
)


class CsvUnusable(EnrollbotError):
    """Base of what `read_serials` refuses."""


class CsvEmpty(CsvUnusable):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{_shown_name(name)} is empty.",
            next_step="Save the list of serial numbers as CSV once more and upload that file.",
        )


class CsvTooBig(CsvUnusable):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{_shown_name(name)} is larger than {MOST_BYTES // 1024**2} MB.",
            next_step="Keep only the column with the serial numbers, or split the file.",
        )


class CsvTooLong(CsvUnusable):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{_shown_name(name)} has more than {MOST_ROWS:,} rows.",
            next_step=f"Split it into files of at most {MOST_ROWS:,} rows.",
        )


class NotCsv(CsvUnusable):
    """The file is no text. `kind` says what it is, as far as its first bytes tell."""

    def __init__(self, name: str, *, kind: str | None) -> None:
        self.kind = kind
        super().__init__(
            f"{_shown_name(name)} is {kind}, not CSV."
            if kind
            else f"{_shown_name(name)} is not a text file.",
            next_step="Save it as CSV and upload that file: in Excel Save As, CSV UTF-8; in Numbers Export"
            " To, CSV; in LibreOffice Save As, Text CSV.",
        )


class CsvQuoteOpen(CsvUnusable):
    """A quote is not closed, so all rows from there on are one cell and would be lost in silence."""

    def __init__(self, name: str, *, row: int) -> None:
        self.row = row
        super().__init__(
            f"In row {row:,} of {_shown_name(name, 'the file')} a quotation mark opens that is never closed.",
            next_step="Remove it, or save the list as CSV from the spreadsheet once more.",
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A cell that is no serial number. `row` counts as a spreadsheet does, headings included."""

    row: int
    text: str
    reason: str

    @property
    def is_damaged(self) -> bool:
        """Whether a spreadsheet has probably made this of a serial number."""
        return self.reason in _DAMAGES


@dataclass(frozen=True, slots=True)
class CsvSerials:
    """What a file had. Every row is in one of `serials`, `blank`, `duplicates`, `damaged`, `unusable`.

    `rows` are those below the headings, without blank ones at the end; `above` is how many above the headings
    have something in them. `column` is the heading of the column that was read. `delimiter` is None where the
    file has none.
    """

    serials: tuple[str, ...]
    rows: int
    blank: int
    duplicates: int
    damaged: tuple[LeftOut, ...]
    unusable: tuple[LeftOut, ...]
    column: str | None
    encoding: str
    delimiter: str | None
    has_header: bool
    above: int = 0

    def in_words(self) -> tuple[str, ...]:
        """Return sentences of plain text that say what became of every row. Cells stand in them unescaped."""
        where = f"the column “{self.column}”" if self.column else "the first column, as there are no headings"
        words = [f"{_many(self.rows, 'row')} read in {where}: {_many(len(self.serials), 'serial number')}."]
        if self.above:
            words.append(f"{_many(self.above, 'row')} above the headings not read.")
        if self.blank:
            words.append(f"{_many(self.blank, 'row')} without a serial number left out.")
        if self.duplicates:
            words.append(f"{_many(self.duplicates, 'row')} with a serial number that stands above left out.")
        if self.damaged:
            words.append(
                f"{_many(len(self.damaged), 'row')} left out that a spreadsheet has probably damaged:"
                f" {_listed(self.damaged)}. Take them from their source again, into cells formatted as text."
            )
        if self.unusable:
            words.append(
                f"{_many(len(self.unusable), 'row')} left out that cannot be a serial number:"
                f" {_listed(self.unusable)}."
            )
        return tuple(words)


class CsvWithoutSerials(CsvUnusable):
    """The file was read, and no cell of the column is a serial number. `read` has what was found instead."""

    def __init__(self, name: str, *, read: CsvSerials) -> None:
        self.read = read
        column = f"the column “{read.column}”" if read.column else "the first column"
        found = f"There is no serial number in {column} of {_shown_name(name, 'the file')}"
        if read.damaged and len(read.damaged) >= len(read.unusable):
            super().__init__(
                f"{found}: {_listed(read.damaged)}.",
                next_step="A spreadsheet has probably damaged them. Take them from their source again, into"
                " cells formatted as text.",
            )
        else:
            super().__init__(
                f"{found}{f': {_listed(read.unusable)}' if read.unusable else ''}.",
                next_step="Give the column that has them the heading “Serial number”. A serial number has 8"
                " to 14 letters and digits.",
            )


def read_serials(content: bytes, file_name: str = "") -> CsvSerials:
    """Return the serial numbers of a file. Raises a `CsvUnusable` when it has none or cannot be read."""
    if len(content) > MOST_BYTES:
        raise CsvTooBig(file_name)
    text, encoding = _decoded(content, file_name)
    table = _table(text, file_name)
    if not table.text.strip(_AROUND):
        raise CsvEmpty(file_name)
    layout = _layout(list(islice(_sampled(table), _SAMPLE)))
    read = _read(table, layout, encoding)
    if not read.serials:
        raise CsvWithoutSerials(file_name, read=read)
    return read


# Bytes to text


def _decoded(content: bytes, name: str) -> tuple[str, str]:
    """Return the text and its encoding.

    Three rules are enough and always give the same answer: UTF-16 shows by its mark or by its NULs; what is
    valid UTF-8 is UTF-8; the rest is Windows-1252, which has all of Latin-1 that can be seen. Serial numbers
    and delimiters are ASCII, so that an error here spoils no more than the accents of a heading. A library
    that guesses would now and then take a whole file for something else.
    """
    kind = _kind(content)
    if kind:
        raise NotCsv(name, kind=kind)
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if content.startswith(mark):
            return _without_nul(content[2:].decode(encoding, "replace"), name), encoding
    if content.startswith(b"\xef\xbb\xbf"):
        return _without_nul(content[3:].decode("utf-8", "replace"), name), "utf-8-sig"
    wide = _wide(content)
    if wide:
        return _without_nul(content.decode(wide, "replace"), name), wide
    try:
        return _without_nul(content.decode("utf-8"), name), "utf-8"
    except UnicodeDecodeError:
        return _without_nul(content.decode("cp1252", "replace"), name), "cp1252"


def _kind(content: bytes) -> str | None:
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for part, kind in _IN_ZIP if part in content), "a ZIP archive")
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for begins, kind in _BEGINNINGS if start.startswith(begins.lower())), None)


def _wide(content: bytes) -> str | None:
    """Return the UTF-16 that bytes without a mark are in: most of one half of each pair is NUL."""
    sample = content[:4096]
    half = len(sample) / 4
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    if low > half > high:
        return "utf-16-le"
    return "utf-16-be" if high > half > low else None


def _without_nul(text: str, name: str) -> str:
    # Some programs fill up a file's last block, and DOS ended texts with a control character.
    text = text.rstrip("\x00\x1a")
    if _END in text:
        raise NotCsv(name, kind=None)
    return text


# Text to rows


@dataclass(frozen=True, slots=True)
class _Table:
    text: str
    delimiter: str
    name: str

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows. Raises `CsvQuoteOpen` where a quote swallows the end, `NotCsv` for no table."""
        lines = chain(io.StringIO(self.text, newline=""), (_END,))
        number = 0
        try:
            for number, row in enumerate(csv.reader(lines, delimiter=self.delimiter), 1):  # noqa: B007
                if row and row[-1].endswith(_END):
                    if row == [_END]:
                        return
                    break
                yield row
            else:
                return
        except csv.Error:
            # A cell of more than 128 KiB: a quote that is open as well, or no table at all.
            if '"' not in self.text:
                raise NotCsv(self.name, kind="another kind of text") from None
            number += 1
        raise CsvQuoteOpen(self.name, row=number)


def _table(text: str, name: str) -> _Table:
    """Find the delimiter: the one that the file names, else the one that leaves most serial numbers alone."""
    line = _SEPARATOR_LINE.match(text)
    if line:
        return _Table(text[line.end() :].rstrip(_SPACES + line[1]), line[1], name)
    # Spreadsheets write as many blank rows at the end as were ever touched; these are none of the file's.
    text = text.rstrip(_SPACES + "".join(_DELIMITERS))
    tables = [_Table(text, delimiter, name) for delimiter in _DELIMITERS if delimiter in text]
    return max(tables, key=_fit) if tables else _Table(text, _DELIMITERS[0], name)


def _fit(table: _Table) -> tuple[bool, int, int]:
    rows = list(islice(_sampled(table), _SAMPLE))
    layout = _layout(rows)
    cells = [row[layout.column] for row in rows[layout.first :] if len(row) > layout.column]
    likely = sum(map(_stands_alone, cells))
    return layout.is_named, likely, sum(len(row) > 1 for row in rows)


def _stands_alone(cell: str) -> bool:
    """Say whether a cell has a serial number and no delimiter, or what is left of one: 7,62E+11."""
    judged = _judged(cell, 0)
    if isinstance(judged, LeftOut):
        return judged.is_damaged
    return judged is not None and not any(delimiter in cell for delimiter in _DELIMITERS)


def _sampled(table: _Table) -> Iterator[list[str]]:
    """Yield rows up to one that cannot be read, which matters only when the whole file is."""
    try:
        yield from table.rows()
    except CsvUnusable:
        return


# Where the serial numbers are


@dataclass(frozen=True, slots=True)
class _Layout:
    """`first` is the first row below the headings, `is_named` whether one of these means serial numbers."""

    first: int
    column: int
    heading: str | None = None
    is_named: bool = False
    is_one_line: bool = False
    above: int = 0


def _layout(rows: Sequence[Sequence[str]]) -> _Layout:
    named = [
        (index, next(at for at, cell in enumerate(row) if _is_heading(cell)))
        for index, row in enumerate(rows[:_MOST_PREAMBLE])
        if any(map(_is_heading, row[:_MOST_COLUMNS]))
    ]
    if named:
        index, column = named[0]
        for later, other in named[1:]:
            # A title such as "Serial numbers" may stand above the headings. Those of a second table that was
            # put below the first have serial numbers above them.
            if any(_is_serial(row[column]) for row in rows[index + 1 : later] if len(row) > column):
                break
            index, column = later, other
        above = sum(not _is_blank(row) for row in rows[:index])
        return _Layout(index + 1, column, _heading(rows[index][column]), is_named=True, above=above)
    filled = [(index, row) for index, row in enumerate(rows) if not _is_blank(row)]
    if not filled:
        return _Layout(0, 0)
    index, row = filled[0]
    if _is_other_heading(row[0]):
        return _Layout(index + 1, 0, _heading(row[0]))
    return _Layout(0, 0, is_one_line=len(filled) == 1 and _is_list(row))


def _is_heading(cell: str) -> bool:
    """Say whether a cell is a heading that means serial numbers, in the languages that we know it in."""
    if not cell or len(cell) > _LONGEST_HEADING:
        return False
    plain = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", cell))).casefold()
    return _HEADING.fullmatch(plain) is not None


def _is_other_heading(cell: str) -> bool:
    """Say whether a file's first cell is a heading of another name: words without digits, no serial number.

    A serial number without digits is rare, and still rarer written in small letters.
    """
    text = _bare(cell)
    if text.startswith("#") or not any(map(str.isalpha, text)) or any(map(str.isdigit, text)):
        return False
    return not (_SHAPE.fullmatch(text) and text.isupper())


def _heading(cell: str) -> str:
    return _shown(_bare(cell))


def _is_serial(cell: str) -> bool:
    return isinstance(_judged(cell, 0), str)


def _is_list(row: Sequence[str]) -> bool:
    """Say whether a file's only row is a list, of which only the first would be read otherwise."""
    cells = [cell for cell in row[:_LIST] if cell.strip()]
    return len(cells) > 1 and all(_is_serial(cell) and any(map(str.isdigit, cell)) for cell in cells)


def _is_blank(row: Sequence[str]) -> bool:
    return not _bare("".join(row))


# Rows to serial numbers


def _read(table: _Table, layout: _Layout, encoding: str) -> CsvSerials:
    serials: dict[str, None] = {}
    damaged: list[LeftOut] = []
    unusable: list[LeftOut] = []
    rows = blank = duplicates = 0
    for number, cell in _cells(table, layout):
        rows += 1
        if rows > MOST_ROWS:
            raise CsvTooLong(table.name)
        judged = _judged(cell, number)
        if judged is None:
            blank += 1
        elif isinstance(judged, LeftOut):
            (damaged if judged.is_damaged else unusable).append(judged)
        elif judged in serials:
            duplicates += 1
        else:
            serials[judged] = None
    return CsvSerials(
        serials=tuple(serials),
        rows=rows,
        blank=blank,
        duplicates=duplicates,
        damaged=tuple(damaged),
        unusable=tuple(unusable),
        column=layout.heading,
        encoding=encoding,
        delimiter=table.delimiter if table.delimiter in table.text else None,
        has_header=layout.heading is not None,
        above=layout.above,
    )


def _cells(table: _Table, layout: _Layout) -> Iterator[tuple[int, str]]:
    """Yield the cells of the serial numbers' column with the numbers of their rows."""
    for number, row in enumerate(table.rows(), 1):
        if layout.is_one_line:
            yield from ((number, cell) for cell in row if cell.strip())
        elif number > layout.first:
            yield number, row[layout.column] if len(row) > layout.column else ""


def _judged(cell: str, row: int) -> str | LeftOut | None:
    """Return the serial number in a cell, why it is none, or None when the cell is blank.

    A leading S, as barcodes have it, stays: there are serial numbers that begin with S.
    """
    text = cell if _SHAPE.fullmatch(cell) else _bare(cell)
    if not text:
        return None
    reason = _fault(text)
    return LeftOut(row, _shown(text), reason) if reason else text.upper()


def _fault(text: str) -> str | None:
    if text.startswith("#"):
        return _ERROR
    if text[0].isdigit() and len(text) <= _LONGEST_SHOWN:
        if _POWER.fullmatch(text):
            return _POWER_OF_TEN
        if _DIGITS.fullmatch(text):
            return _DIGITS_ONLY
    if not (text.isascii() and text.isalnum()):
        odd = next(char for char in text if not (char.isascii() and char.isalnum()))
        return "more than one word" if odd.isspace() else f"“{odd}” is in no serial number"
    return _fault_of_word(text)


def _fault_of_word(text: str) -> str | None:
    if text.isdigit():
        return "a number"
    if len(text) < 8:
        return "too short"
    if len(text) > 14:
        return "too long"
    return "a heading" if text.isalpha() and _is_heading(text) else None


def _bare(cell: str) -> str:
    """Return a cell without what nobody sees, and without the ="…" with which a spreadsheet keeps a text."""
    text = _INVISIBLE.sub("", cell).strip(_AROUND)
    return text[1:].strip(_AROUND) if text.startswith("=") else text


# Words


def _shown(text: str) -> str:
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text[: 5 * _LONGEST_SHOWN])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _shown_name(name: str, otherwise: str = "The file") -> str:
    return name[:80] or otherwise


def _many(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def _listed(cells: Sequence[LeftOut], most: int = 3) -> str:
    named = [f"row {cell.row:,} “{cell.text}” ({cell.reason})" for cell in cells[:most]]
    more = len(cells) - most
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
