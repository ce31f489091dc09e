"""Folders and files from outside, listed and named in one line whatever they are called."""

import os
from pathlib import Path

from engine.errors import BadInput


def listing(folder: str | Path, wanted: str) -> list[os.DirEntry[str]]:
    """What lies in `folder`, by name. **Raises:** BadInput that ends with `wanted`, what is expected there."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except FileNotFoundError as error:
        raise BadInput(f"{shown(folder)}: no such folder; {wanted}") from error
    except NotADirectoryError as error:
        raise BadInput(f"{shown(folder)}: not a folder; {wanted}") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise BadInput(f"{shown(folder)}: cannot be read ({reason}); {wanted}") from error


def shown(path: str | os.PathLike[str]) -> str:
    """`path` for a message: as it is, or escaped where it holds what would break the line."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)
