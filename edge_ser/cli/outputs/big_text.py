"""Words in letters of five pixels height, to be read from across a room."""

from __future__ import annotations

_GLYPHS = {
    "A": "010 101 111 101 101",
    "B": "110 101 110 101 110",
    "C": "011 100 100 100 011",
    "D": "110 101 101 101 110",
    "E": "111 100 110 100 111",
    "F": "111 100 110 100 100",
    "G": "0111 1000 1011 1001 0111",
    "H": "101 101 111 101 101",
    "I": "1 1 1 1 1",
    "J": "001 001 001 101 010",
    "K": "1001 1010 1100 1010 1001",
    "L": "100 100 100 100 111",
    "M": "10001 11011 10101 10001 10001",
    "N": "1001 1101 1011 1001 1001",
    "O": "0110 1001 1001 1001 0110",
    "P": "110 101 110 100 100",
    "Q": "0110 1001 1001 1011 0111",
    "R": "110 101 110 101 101",
    "S": "011 100 010 001 110",
    "T": "111 010 010 010 010",
    "U": "101 101 101 101 111",
    "V": "101 101 101 101 010",
    "W": "10001 10001 10101 11011 10001",
    "X": "101 101 010 101 101",
    "Y": "101 101 010 010 010",
    "Z": "111 001 010 100 111",
    "0": "111 101 101 101 111",
    "1": "01 11 01 01 01",
    "2": "111 001 111 100 111",
    "3": "111 001 111 001 111",
    "4": "101 101 111 001 001",
    "5": "111 100 111 001 111",
    "6": "111 100 111 101 111",
    "7": "111 001 001 010 010",
    "8": "111 101 111 101 111",
    "9": "111 101 111 001 111",
    "%": "11001 11010 00100 01011 10011",
    " ": "0 0 0 0 0",
}

_HALVES = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}


def big(text: str, width: int, twice: bool) -> list[str] | None:
    """Return the lines of a big text: 3 with half blocks, or 5 where it is drawn `twice` as large.

    None where a character is not known or the text is wider than `width`.
    """
    if not set(text.upper()) <= _GLYPHS.keys():
        return None
    rows = ["0".join(row) for row in zip(*(_GLYPHS[c].split() for c in text.upper()), strict=True)]
    if twice:
        lines = ["".join("██" if pixel == "1" else "  " for pixel in row) for row in rows]
    else:
        padded = [*rows, "0" * len(rows[0])]
        pairs = zip(padded[::2], padded[1::2], strict=True)
        lines = ["".join(_HALVES[pair] for pair in zip(*two, strict=True)) for two in pairs]
    return None if len(lines[0]) > width else lines
