"""Compiled programs on disk, each with a digest.

JAX runs whatever it finds in its cache under the name of a program. Here a program is kept with a digest of its name
and its bytes, and one that does not match is compiled again.
"""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import jax

from engine.store.files import write_atomic

_SIZE = sha256().digest_size


class ProgramCache:
    """The compiled programs in a folder, as JAX's interface of caches has it."""

    def __init__(self, folder: str):
        self._path = Path(folder)

    def get(self, key: str) -> bytes | None:
        """Return the program of that name; None if there is none, or not the one that was kept."""
        path = self._file(key)
        kept = b""
        with suppress(OSError):
            kept = path.read_bytes() if path.is_file() else b""
        program = kept[_SIZE:]
        return program if kept == _sealed(key, program) else None

    def put(self, key: str, value: bytes) -> None:
        """Keep a program, if that is possible; without it the next process compiles anew."""
        with suppress(OSError):
            write_atomic(self._file(key), _sealed(key, value))

    def clear(self) -> None:
        """JAX calls it where a test resets the cache; the files stay."""

    def _file(self, key: str) -> Path:
        return self._path / f"{key}-cache"


def prove_programs() -> None:
    """Make JAX keep programs in a ProgramCache. A version of JAX that has no place for one keeps no programs."""
    from jax._src import compilation_cache

    if hasattr(compilation_cache, "get_file_cache"):
        vars(compilation_cache)["get_file_cache"] = lambda path: (ProgramCache(path), path)
    else:
        jax.config.update("jax_enable_compilation_cache", False)  # type: ignore[no-untyped-call]


def _sealed(key: str, program: bytes) -> bytes:
    return sha256(key.encode() + program).digest() + program
