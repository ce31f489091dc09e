"""Everything that is written as ASCII, a character for each cell, for terminals that show nothing else."""

import codecs
import unicodedata

ERRORS = "lth-ascii"
"""The name of the error handler of a stream that writes what it cannot encode as ASCII."""

_ALIKE = {
    "…": ".", "·": ".", "•": "*", "●": "@", "○": "o", "◆": "%", "▲": "^", "■": "#", "▶": ">", "‖": "=",
    "✓": "v", "✗": "x", "±": "~", "≈": "~", "≡": "~", "≥": ">", "≤": "<", "–": "-", "—": "-", "§": "S", "×": "x",
    "→": ">", "←": "<", "↑": "^", "↓": "v", "›": ">", "‹": "<", "▾": "v", "▼": "v", "⏎": "E", "⌫": "B",
    "‘": "'", "’": "'", "“": '"', "”": '"', "╱": "/", "╲": "\\", "╳": "X", "▔": "-", "▀": '"', "▄": "_", "🔎": "> ",
    **dict(zip("▁▂▃▅▆▇█", "_.-+*%#", strict=True)),
    **dict.fromkeys("▏▎▍▌▋▊▉▐▕", "|"),
}  # fmt: skip


def as_ascii(text: str) -> str:
    """The text in as many cells: marks that differ stay different, letters lose their accents, the rest is `?`."""
    return text if text.isascii() else "".join(map(_one, text))


def _one(char: str) -> str:
    if char.isascii():
        return char
    if char not in _ALIKE:
        _ALIKE[char] = _found(char)
    return _ALIKE[char]


def _found(char: str) -> str:
    number = ord(char)
    if 0x2500 <= number < 0x2580:
        return _box(unicodedata.name(char))
    if 0x2800 <= number < 0x2900:
        return _dots(number - 0x2800)
    from rich.cells import cell_len

    width = cell_len(char)
    bare = "".join(part for part in unicodedata.normalize("NFKD", char) if part.isascii())
    return bare if len(bare) == width else "?" * width


def _box(name: str) -> str:
    """A line of a box: across, down, or both."""
    words = set(name.split())
    across, down = words & {"HORIZONTAL", "LEFT", "RIGHT"}, words & {"VERTICAL", "UP", "DOWN"}
    return "+" if across and down else "-" if across else "|"


def _dots(bits: int) -> str:
    """A braille character by where it has dots: high, in the middle, low, or both high and low."""
    high, middle, low = bits & 0b00001001, bits & 0b00110110, bits & 0b11000000
    if high and low:
        return "|"
    if middle:
        return "'" if high and not bits & 0b00100100 else "." if low and not bits & 0b00010010 else "-"
    return "'" if high else "." if low else " "


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return as_ascii(error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _handle)
