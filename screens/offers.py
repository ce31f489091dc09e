"""What a screen shows, for files and the clipboard: a picture, the numbers behind it, or a study."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from rich.terminal_theme import TerminalTheme
from textual.widget import Widget

from engine.errors import BadInput
from engine.store.files import write_atomic
from engine.views import Table, csv_text, tsv_text
from screens.svg import Lines, svg_of

Format = Literal["svg", "png", "csv", "toml"]
FORMATS: dict[Format, str] = {
    "svg": "a picture, sharp at every size",
    "png": "a picture in pixels",
    "csv": "the numbers, as a table",
    "toml": "the study, as `lth-tui run` takes it",
}

NO_CONVERTER = "PNG needs a converter: pip install cairosvg, or librsvg's rsvg-convert"
PNG_SCALE = 2
CONVERTING_SECONDS = 60.0
_CONVERTERS: dict[str, tuple[str, ...]] = {
    "rsvg-convert": ("--zoom", str(PNG_SCALE), "--output", "{png}", "{svg}"),
    "inkscape": ("--export-type=png", "--export-filename={png}", "{svg}"),
    "magick": ("-density", str(96 * PNG_SCALE), "{svg}", "{png}"),
    "convert": ("-density", str(96 * PNG_SCALE), "{svg}", "{png}"),
}
"""Programs that make a PNG of an SVG, the best first."""


@runtime_checkable
class Drawable(Protocol):
    """A widget that can be drawn for a file."""

    def still(self) -> Callable[[], Lines]:
        """What draws it as it is now, all of it; to be called in any thread."""
        ...


@dataclass(frozen=True)
class Offer:
    """One thing that is shown.

    `name` is a word that goes into the file's name, `words` tell a person what it is; `widget` shows it: while that has
    the focus the thing is offered first, and its picture is that of the widget, if it is Drawable. `table` gives the
    numbers and may take its time, in a thread; `toml` is a study; `picture` draws what is not a widget's own. `file` is
    the file's name without its ending, where that is not the run's and `name`.
    """

    name: str
    words: str
    widget: Widget | None = None
    table: Callable[[], Table] | None = None
    toml: str | None = None
    picture: Callable[[], Lines] | None = None
    file: str = ""

    @property
    def drawing(self) -> Callable[[], Lines] | None:
        """What draws it."""
        if self.picture is not None:
            return self.picture
        return self.widget.still() if isinstance(self.widget, Drawable) else None

    def formats(self) -> list[Format]:
        """What it can be saved as, the likeliest first."""
        found: list[Format] = []
        if self.toml is not None:
            found.append("toml")
        if self.picture is not None or isinstance(self.widget, Drawable):
            found.append("svg")
            if can_make_png():
                found.append("png")
        if self.table is not None:
            found.append("csv")
        return found


def content(offer: Offer, kind: Format, theme: TerminalTheme, drawing: Callable[[], Lines] | None) -> bytes:
    """The file's bytes, with a `drawing` taken before. May take its time. Raises BadInput where no PNG can be made."""
    if kind == "toml":
        return (offer.toml or "").encode()
    if kind == "csv":
        return csv_text(offer.table()).encode() if offer.table else b""
    svg = svg_of(drawing() if drawing else (), theme)
    return svg.encode() if kind == "svg" else png_of(svg)


def copied(offer: Offer, drawing: Callable[[], Lines] | None) -> tuple[str, str]:
    """The text for the clipboard, and what it is. May take its time."""
    if offer.toml is not None:
        return offer.toml, "the study as TOML"
    if offer.table is not None:
        table = offer.table()
        return tsv_text(table), f"{len(table.rows)} rows"
    lines = ("".join(segment.text for segment in line).rstrip() for line in (drawing() if drawing else ()))
    return "\n".join(lines), "as text"


def can_make_png() -> bool:
    """Whether this machine has what makes a PNG of an SVG."""
    return find_spec("cairosvg") is not None or any(map(shutil.which, _CONVERTERS))


def png_of(svg: str) -> bytes:
    """The picture in pixels, by what the machine has. Raises BadInput."""
    if find_spec("cairosvg") is not None:
        try:
            import cairosvg
        except OSError as error:
            raise BadInput(
                f"cairosvg cannot work here: {' '.join(str(error).split())}; SVG needs no converter"
            ) from None
        return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=PNG_SCALE))
    program = next(filter(shutil.which, _CONVERTERS), None)
    if program is None:
        raise BadInput(NO_CONVERTER)
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: str(Path(folder, f"picture.{kind}")) for kind in ("svg", "png")}
        Path(files["svg"]).write_text(svg, encoding="utf-8")
        command = [program, *(part.format(**files) for part in _CONVERTERS[program])]
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=CONVERTING_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInput(f"{program} could not make a PNG: {error}; SVG needs no converter") from None
        made = Path(files["png"])
        if done.returncode or not made.is_file():
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise BadInput(f"{program} could not make a PNG: {told[-1] if told else 'no word'}; SVG needs no converter")
        return made.read_bytes()


def file_of(text: str, kind: Format) -> Path:
    """The path that a person typed, with `~` as the home, and the format's ending. Raises BadInput."""
    try:
        path = Path(text.strip()).expanduser()
        known = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{text.strip()}: {error}; allowed: a file's name") from None
    if not path.name or known or not text.strip().isprintable():
        raise BadInput(f"{text.strip()!r} is no file; allowed: a file's name, with its folder or without")
    return path if path.name.endswith(f".{kind}") else path.with_name(f"{path.name}.{kind}")


def free_file(path: Path) -> Path:
    """The path, or the first with a number that no file has."""
    number, found = 2, path
    while found.exists():
        number, found = number + 1, path.with_stem(f"{path.stem}-{number}")
    return found


def keep(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises BadInput in a line."""
    if not path.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {path.absolute().parent}; allowed: a folder that there is")
    try:
        write_atomic(path, data)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
