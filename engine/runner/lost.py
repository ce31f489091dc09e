"""A round that was stored and cannot be read."""

from pathlib import Path

from engine.errors import LabError


class Lost(LabError):
    """A stored round that cannot be read any more; it must be trained again."""

    def __init__(self, key: str, path: Path):
        super().__init__(f"{path}: a round that was kept cannot be read any more")
        self.key = key
