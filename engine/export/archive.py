"""The file of a bundle: a zip archive of known members, each with its size and SHA-256 in a manifest.

A bundle is untrusted. Declared sizes are checked before anything is unpacked, and members are read in blocks, with an
error at the end if their size or hash differs from the manifest.
"""

import hashlib
import os
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Literal, Self

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.datasets.folder import shown
from engine.errors import BadInput
from engine.spec.problems import dotted
from engine.spec.problems import shown as quoted
from engine.spec.read import MAX_STUDY_BYTES
from engine.store.index import RUN_NAME
from engine.store.run_db import LATEST, NOTE, TITLE

FORMAT = 1
MANIFEST, STUDY, EVENTS = "manifest.json", "study.toml", "events.jsonl"

MAX_RATIO = 200
"""Times its own size that a bundle may unpack to. Zeros pack a thousandfold, and a late round is nearly all zeros,
but the dense round that each began with packs by a tenth."""
MAX_LINE = 4_000_000
MAX_SIZES = {MANIFEST: 16_000_000, STUDY: MAX_STUDY_BYTES, EVENTS: 200_000_000}
_MAX_DIRECTORY = 16_000_000
_FLOOR = 1_000_000
# Reading a round takes its bytes and its arrays; staging one takes it twice, as it came and as it will be kept.
_MEMORY_SHARE = 3
_DISK_SHARE = 1.1
_BLOCK = 1 << 20

_ROUND = re.compile(r"rounds/([0-9a-f]{40})\.safetensors")
_ATTRIBUTES = (stat.S_IFREG | 0o600) << 16
_ALLOWED = "allowed: a bundle as `lth-tui bundle` writes it"
# Signatures of a zip file's first entry and of the records at its end, which are last, in this order.
_FIRST, _END, _LOCATOR = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE = 22, 20, 56


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Member(_Model):
    size: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(_Model):
    """The manifest of a bundle. `study` is the study's hash; `created` in seconds since the epoch; `title` and `note`
    are those of the run."""

    format: Literal[1] = 1
    run: Annotated[str, Field(pattern=f"^{RUN_NAME.pattern}$")]
    study: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    created: Annotated[float, Field(ge=0, lt=LATEST)]
    title: Annotated[str, Field(max_length=TITLE)] = ""
    note: Annotated[str, Field(max_length=NOTE)] = ""
    members: dict[str, Member]


class _Format(BaseModel):
    format: int


def round_member(key: str) -> str:
    """The name of the member that holds the round of that key."""
    return f"rounds/{key}.safetensors"


def first_problem(error: ValidationError) -> str:
    """Return the first validation problem in one line."""
    detail = error.errors(include_url=False, include_context=False)[0]
    place = f"{dotted(detail['loc'])}: " if detail["loc"] else ""
    return f"{place}{' '.join(detail['msg'].split())[:200]}"


class Packer:
    """Writes a bundle's members, then its manifest."""

    def __init__(self, file: IO[bytes]):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._members: dict[str, Member] = {}

    @property
    def size(self) -> int:
        """Bytes of all members so far, unpacked."""
        return sum(member.size for member in self._members.values())

    def add(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a member. Raises BadInput where it grows over what may be read again."""
        size, digest = 0, hashlib.sha256()
        # No time of day: the same run makes the same bytes.
        entry = zipfile.ZipInfo(name)
        entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, _ATTRIBUTES
        with self._zip.open(entry, "w", force_zip64=True) as packed:
            for block in blocks:
                size += len(block)
                if size > MAX_SIZES.get(name, size):
                    raise BadInput(f"{name}: more than {MAX_SIZES[name]} bytes; allowed in a bundle: at most so many")
                digest.update(block)
                packed.write(block)
        if name != MANIFEST:
            self._members[name] = Member(size=size, sha256=digest.hexdigest())

    @property
    def members(self) -> dict[str, Member]:
        """What is written so far."""
        return dict(self._members)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and end the archive."""
        self.add(MANIFEST, [manifest.model_dump_json(indent=1).encode() + b"\n"])
        self._zip.close()


class Bundle:
    """A bundle open for reading: its directory and manifest are checked, nothing is unpacked. Raises BadInput."""

    def __init__(self, path: Path):
        self.name = shown(path)
        try:
            # Opening a pipe would wait for its other end.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise self._wrong("not a file")
            self._file = path.open("rb")
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        try:
            with self._reading():
                self.size = os.fstat(self._file.fileno()).st_size
                self._check_ends()
                self._zip = zipfile.ZipFile(self._file)
                self._entries = self._checked(self._zip.infolist())
            self.manifest = self._manifest()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def rounds(self) -> list[str]:
        """The keys of the rounds that it holds."""
        return [found[1] for found in map(_ROUND.fullmatch, self.manifest.members) if found]

    @property
    def unpacked(self) -> int:
        """Bytes of all members, unpacked."""
        return sum(member.size for member in self.manifest.members.values())

    def check_room(self, folder: Path) -> None:
        """Raises BadInput where its members would not fit on the disk of `folder` or, one by one, into memory."""
        most = max(member.size for member in self.manifest.members.values())
        needs = (
            ("disk", int(_DISK_SHARE * (self.unpacked + most)), shutil.disk_usage(folder).free),
            ("memory", _MEMORY_SHARE * most, psutil.virtual_memory().available),
        )
        for what, needed, free in needs:
            if needed > free:
                raise BadInput(f"{self.name}: it takes {needed} bytes of {what} to open; allowed: at most {free} here")

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member's bytes. Raises BadInput, at the latest after the last, where they are not as the manifest says."""
        told, digest, left = self.manifest.members[name], hashlib.sha256(), self.manifest.members[name].size
        with self._reading(), self._zip.open(self._entries[name]) as packed:
            while block := packed.read(_BLOCK):
                left -= len(block)
                digest.update(block)
                yield block
        if left or digest.hexdigest() != told.sha256:
            raise self.wrong(name, "its bytes are not those of the manifest")

    def read(self, name: str) -> bytes:
        """The whole of a member."""
        return b"".join(self.blocks(name))

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """The lines of a member, numbered from 1."""
        rest, number = b"", 0
        for block in self.blocks(name):
            *whole, rest = (rest + block).split(b"\n")
            for number, line in enumerate(whole, number + 1):  # noqa: B020
                yield number, line
            if len(rest) > MAX_LINE:
                raise self.wrong(name, f"line {number + 1} has more than {MAX_LINE} bytes")
        if rest:
            raise self.wrong(name, "its last line does not end")

    def wrong(self, member: str, found: str) -> BadInput:
        """What is wrong with a member, as an error to raise."""
        return BadInput(f"{self.name}: {member}: {found}; {_ALLOWED}")

    def _wrong(self, found: str) -> BadInput:
        return BadInput(f"{self.name}: {found}; {_ALLOWED}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except BadInput:
            raise
        except Exception as error:  # zipfile lets through whatever it stumbles over
            words = " ".join(str(error).split()) or type(error).__name__
            raise self._wrong(f"not a whole zip file ({quoted(words)})") from None

    def _check_ends(self) -> None:
        """The directory's size must be known before it is read: zipfile makes an object of every entry."""
        start = self._file.read(len(_FIRST))
        if start != _FIRST:
            raise self._wrong("not a zip file" if start else "empty")
        tail_size = min(self.size, _END64_SIZE + _LOCATOR_SIZE + _END_SIZE)
        self._file.seek(-tail_size, os.SEEK_END)
        tail = self._file.read(tail_size).rjust(_END64_SIZE + _LOCATOR_SIZE + _END_SIZE, b"\0")
        end64, locator, end = tail[:_END64_SIZE], tail[_END64_SIZE:-_END_SIZE], tail[-_END_SIZE:]
        if not end.startswith(_END):
            raise self._wrong("cut short, or not a zip file")
        directory, comment = struct.unpack_from("<L", end, 12)[0], struct.unpack_from("<H", end, 20)[0]
        if locator.startswith(_LOCATOR):
            directory = struct.unpack_from("<Q", end64, 40)[0]
        if directory > min(_MAX_DIRECTORY, self.size) or comment:
            raise self._wrong(f"a directory of {directory} bytes and a comment of {comment}")

    def _checked(self, entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        for entry in entries:
            name = entry.orig_filename
            if name not in MAX_SIZES and not _ROUND.fullmatch(name):
                raise self._wrong(f"an entry {quoted(name)}")
            if entry.filename != name or entry.external_attr != _ATTRIBUTES:
                raise self.wrong(name, "not a plain file")
            if entry.flag_bits or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self.wrong(name, "encrypted, or packed in a way of its own")
            if entry.file_size > MAX_SIZES.get(name, entry.file_size):
                raise self.wrong(name, f"{entry.file_size} bytes, more than the {MAX_SIZES[name]} that there may be")
        found = {entry.orig_filename: entry for entry in entries}
        if len(found) < len(entries):
            raise self._wrong("an entry that is there twice")
        for name in MAX_SIZES:
            if name not in found:
                raise self._wrong(f"no entry {name}")
        packed, unpacked = (sum(getattr(e, size) for e in entries) for size in ("compress_size", "file_size"))
        if packed > self.size or unpacked > _FLOOR + MAX_RATIO * self.size:
            raise self._wrong(f"entries of {packed} bytes, unpacked {unpacked}, in a file of {self.size}")
        return found

    def _manifest(self) -> Manifest:
        with self._reading(), self._zip.open(self._entries[MANIFEST]) as packed:
            text = packed.read(MAX_SIZES[MANIFEST])
        try:
            told = _Format.model_validate_json(text).format
            if told != FORMAT:
                raise self.wrong(MANIFEST, f"format {told}, this version of lth-tui reads format {FORMAT}")
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            raise self.wrong(MANIFEST, first_problem(error)) from None
        if manifest.members.keys() != self._entries.keys() - {MANIFEST}:
            odd = sorted(manifest.members.keys() ^ (self._entries.keys() - {MANIFEST}))[0]
            raise self.wrong(MANIFEST, f"{quoted(odd)} is not both in it and in the file")
        for name, member in manifest.members.items():
            if member.size != self._entries[name].file_size:
                raise self.wrong(name, f"{self._entries[name].file_size} bytes, {member.size} in the manifest")
        return manifest
