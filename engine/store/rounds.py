"""Finished rounds by content key: one safetensors file each, shared by arms and runs."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from engine.store.events import CurvePoint, RoundResult
from engine.store.files import write_atomic

Weights = dict[str, dict[str, NDArray[np.float32]]]
Masks = dict[str, NDArray[np.bool_]]

_CURVE = TypeAdapter(list[CurvePoint])
_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class StoredRound:
    """What a round leaves behind.

    `masks`: layer name to True where a weight lives. `final` and `best`: layer name to
    {"kernel", "bias"}, after the last iteration and at the lowest validation loss; `marks`: likewise, after the
    iterations that others rewind to.
    """

    key: str
    result: RoundResult
    curve: list[CurvePoint]
    masks: Masks
    final: Weights
    best: Weights
    marks: dict[int, Weights] = field(default_factory=dict)


class RoundStore:
    """The finished rounds in `folder`. A file that is not whole, or not what its digest says, does not count."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, key: str) -> Path:
        """Where the round of that key is kept. Raises ValueError for what is no key: events of strangers name some."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key of 40 hex digits: {key!r}")
        return self._folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        """Whether there is a file for that round; `read` alone proves it."""
        return self.path(key).is_file()

    def write(self, stored: StoredRound) -> int:
        """Keep a round, atomically; its size in bytes."""
        arrays: dict[str, NDArray[Any]] = {f"mask/{name}": mask for name, mask in stored.masks.items()}
        marks = {f"at{iteration}": weights for iteration, weights in stored.marks.items()}
        for group, weights in {"final": stored.final, "best": stored.best, **marks}.items():
            for layer, tensors in weights.items():
                arrays.update({f"{group}/{layer}/{name}": array for name, array in tensors.items()})
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        facts = {
            "key": stored.key,
            "layers": json.dumps(list(stored.masks)),
            "marks": json.dumps(list(stored.marks)),
            "result": stored.result.model_dump_json(),
            "curve": _CURVE.dump_json(stored.curve).decode(),
        }
        data = save(arrays, metadata={**facts, "digest": _digest(arrays, facts)})
        write_atomic(self.path(stored.key), data)
        return len(data)

    def read(self, key: str) -> StoredRound | None:
        """The round of that key; None when there is none that can be believed."""
        try:
            with safe_open(self.path(key), framework="numpy") as file:
                facts = dict(file.metadata() or {})
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            digest = facts.pop("digest", None)
            if facts.get("key") != key or digest != _digest(arrays, facts):
                return None
            layers: list[str] = json.loads(facts["layers"])
            return StoredRound(
                key=key,
                result=RoundResult.model_validate_json(facts["result"]),
                curve=_CURVE.validate_json(facts["curve"]),
                masks={layer: arrays[f"mask/{layer}"] for layer in layers},
                final=_weights(arrays, "final", layers),
                best=_weights(arrays, "best", layers),
                marks={mark: _weights(arrays, f"at{mark}", layers) for mark in json.loads(facts["marks"])},
            )
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError, ValidationError):
            return None


def _weights(arrays: Mapping[str, NDArray[np.float32]], group: str, layers: list[str]) -> Weights:
    return {layer: {name: arrays[f"{group}/{layer}/{name}"] for name in ("kernel", "bias")} for layer in layers}


def _digest(arrays: Mapping[str, NDArray[np.generic]], facts: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in sorted(facts.items()):
        whole.update(f"{name}={text}\n".encode())
    for name in sorted(arrays):
        array = arrays[name]
        whole.update(f"{name}{array.dtype.str}{array.shape}\n".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()
