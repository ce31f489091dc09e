"""Bundles as a forger would write them: sound ones, but for one lie."""

import hashlib
import io
import json
import stat
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.numpy import load
from sample_run import sample_study

from engine.store.tensors import write_tensors

Members = dict[str, bytes]


@dataclass
class Forged:
    """A bundle as a forger would write it: `members` as they are, a manifest that fits them, and what to spoil."""

    members: Members
    manifest: dict[str, Any] = field(default_factory=dict)
    text: bytes | None = None
    entries: list[tuple[zipfile.ZipInfo, bytes]] = field(default_factory=list)
    spoil: Callable[[bytes], bytes] = bytes
    packed: int = zipfile.ZIP_DEFLATED

    def write(self, path: Path) -> None:
        usual = {"format": 1, "run": "one", "study": sample_study().hash, "created": 1.7e9}
        manifest = usual | {"members": members_told(self)} | self.manifest
        text = json.dumps(manifest).encode() if self.text is None else self.text
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in {**self.members, "manifest.json": text}.items():
                archive.writestr(entry(name, self.packed), data)
            for info, data in self.entries:
                with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a name that is there twice
                    archive.writestr(info, data)
        path.write_bytes(self.spoil(file.getvalue()))


def members_told(forged: Forged) -> dict[str, Any]:
    return {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in forged.members.items()
    }


def entry(name: str, packed: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG | 0o600) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo()
    info.filename = name  # as it is: ZipInfo itself would mend it
    info.compress_type, info.create_system, info.external_attr = packed, 3, mode << 16
    return info


Forge = Callable[[Forged], object]


def put(name: str, data: bytes) -> Forge:
    return lambda forged: forged.members.update({name: data})


def drop(name: str) -> Forge:
    return lambda forged: forged.members.pop(name)


def manifest(**changes: Any) -> Forge:
    return lambda forged: forged.manifest.update(changes)


def text_of(data: bytes) -> Forge:
    return lambda forged: setattr(forged, "text", data)


def spoilt(spoil: Callable[[bytes], bytes]) -> Forge:
    return lambda forged: setattr(forged, "spoil", spoil)


def added(name: str, data: bytes = b"x", **more: Any) -> Forge:
    return lambda forged: forged.entries.append((entry(name, **more), data))


def told(name: str, **changes: Any) -> Forge:
    """The manifest lies about a member."""

    def forge(forged: Forged) -> None:
        facts = members_told(forged)
        forged.manifest["members"] = facts | {name: facts[name] | changes}

    return forge


def in_directory(name: str, offset: int, value: bytes) -> Forge:
    """Overwrite a field of an entry of the zip's directory; `offset` as in the format's description."""

    def spoil(data: bytes) -> bytes:
        place = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode())) + offset
        return data[:place] + value + data[place + len(value) :]

    return spoilt(spoil)


def in_end(offset: int, value: bytes) -> Forge:
    def spoil(data: bytes) -> bytes:
        place = len(data) - 22 + offset
        return data[:place] + value + data[place + len(value) :]

    return spoilt(spoil)


def events(change: Callable[[list[dict[str, Any]]], object]) -> Forge:
    def forge(forged: Forged) -> None:
        lines = [json.loads(line) for line in forged.members["events.jsonl"].splitlines()]
        change(lines)
        forged.members["events.jsonl"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return forge


def nth(kind: str, lines: list[dict[str, Any]], number: int = -1) -> dict[str, Any]:
    found: dict[str, Any] = [line["event"] for line in lines if line["event"]["event"] == kind][number]
    return found


def finished(**changes: Any) -> Forge:
    """Another last finished round."""
    return events(lambda lines: nth("round-finished", lines).update(changes))


def result(**changes: Any) -> Forge:
    return events(lambda lines: nth("round-finished", lines)["result"].update(changes))


def started(**changes: Any) -> Forge:
    return events(lambda lines: nth("run-started", lines).update(changes))


def similar(**changes: Any) -> Forge:
    return events(lambda lines: nth("round-finished", lines)["similarity"]["dense1"].update(changes))


def event_line(line: bytes) -> Forge:
    return lambda forged: forged.members.update({"events.jsonl": forged.members["events.jsonl"] + line})


def first_round(forged: Forged) -> str:
    return next(name for name in forged.members if name.startswith("rounds/"))


def round_bytes(change: Callable[[bytes], bytes]) -> Forge:
    def forge(forged: Forged) -> None:
        name = first_round(forged)
        forged.members[name] = change(forged.members[name])

    return forge


def header(change: Callable[[dict[str, Any]], object]) -> Forge:
    """Another header of a round's file, the arrays' bytes as they were."""

    def changed(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        facts = json.loads(data[8 : 8 + length])
        change(facts)
        text = json.dumps(facts).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return round_bytes(changed)


def resaved(change: Callable[[dict[str, Any], dict[str, str]], object]) -> Forge:
    """A round of other arrays or facts, with the digests that the store would give it."""

    def changed(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        facts: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
        arrays: dict[str, Any] = load(data)
        del facts["digest"], facts["digests"]
        change(arrays, facts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "round"
            write_tensors(path, arrays, facts)
            return path.read_bytes()

    return round_bytes(changed)


def renamed_round(name: str) -> Forge:
    def forge(forged: Forged) -> None:
        forged.members[name] = forged.members.pop(first_round(forged))

    return forge


def study_text(text: str) -> Forge:
    return put("study.toml", text.encode("utf-8", "surrogateescape"))


def swapped(forged: Forged) -> None:
    """Two rounds change places."""
    one, other = [name for name in forged.members if name.startswith("rounds/")][:2]
    forged.members[one], forged.members[other] = forged.members[other], forged.members[one]


def zeroed(part: int) -> Forge:
    """64 zeros at so many percent of the file."""

    def spoil(data: bytes) -> bytes:
        start = len(data) * part // 100
        return data[:start] + bytes(64) + data[start + 64 :]

    return spoilt(spoil)


def sizes(dense: int, output: int, survivors: int = 1) -> dict[str, Any]:
    """Layers as a result has them, with as many weights."""
    return {
        "dense1": {"survivors": survivors, "size": dense},
        "output": {"survivors": min(survivors, output), "size": output},
    }


def magnitudes(**changes: Any) -> dict[str, Any]:
    """A layer's magnitudes as a result has them."""
    usual = {"start": [1], "end": [1], "start_top": 1.0, "end_top": 1.0, "start_distance": 0.5, "end_distance": 0.5}
    return usual | changes
