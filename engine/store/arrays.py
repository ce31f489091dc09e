"""Files of named arrays and facts that are whole and proven, or do not count.

NumPy is imported by what reads and writes them: whoever asks the store for its runs does not wait for it.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from engine.networks import Snapshot
from engine.store.files import write_atomic, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Masks = dict[str, "NDArray[np.bool_]"]
Arrays = dict[str, "NDArray[Any]"]

_KEY = re.compile(r"[0-9a-f]{40}")


def keyed(folder: Path, key: str) -> Path:
    """Where what has that key is kept. Raises ValueError for what is no key: events of strangers name some."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key of 40 hex digits: {key!r}")
    return folder / key[:2] / f"{key}.safetensors"


def keys_in(folder: Path) -> list[str]:
    """The keys of which there are files in `folder`, in their order."""
    return sorted(path.stem for path in folder.glob("??/*.safetensors") if _KEY.fullmatch(path.stem))


def write_arrays(path: Path, arrays: Mapping[str, "NDArray[Any]"], facts: Mapping[str, str]) -> int:
    """Keep arrays and facts in one safetensors file with their digest, atomically; its size in bytes.

    Raises Unwritable.
    """
    import numpy as np
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    data = save(whole, metadata={**facts, "digest": _digest(whole, facts)})
    with writing(path):
        write_atomic(path, data)
    return len(data)


def read_arrays(path: Path) -> tuple[Arrays, dict[str, str]] | None:
    """The arrays and facts of a file; None for one that is not there, not whole, or not what its digest says."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError):  # the last for odd types
        return None
    return (arrays, facts) if facts.pop("digest", None) == _digest(arrays, facts) else None


def grouped(group: str, arrays: Mapping[str, "NDArray[Any]"]) -> Arrays:
    """The arrays under names that begin with the group's."""
    return {f"{group}/{name}": array for name, array in arrays.items()}


def group_of(arrays: Mapping[str, "NDArray[Any]"], group: str) -> Arrays:
    """The arrays of a group, by the rest of their names."""
    return {name.removeprefix(f"{group}/"): array for name, array in arrays.items() if name.startswith(f"{group}/")}


def flat(group: str, snapshot: Snapshot) -> Arrays:
    """A snapshot as arrays named group/params/path and group/state/path."""
    return grouped(f"{group}/params", snapshot.params) | grouped(f"{group}/state", snapshot.state)


def snapshot_of(arrays: Mapping[str, "NDArray[Any]"], group: str) -> Snapshot:
    """The snapshot of a group. Raises KeyError where there is none."""
    params = group_of(arrays, f"{group}/params")
    if not params:
        raise KeyError(group)
    return Snapshot(params, group_of(arrays, f"{group}/state"))


def _digest(arrays: Mapping[str, "NDArray[Any]"], facts: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in sorted(facts.items()):
        whole.update(f"{name}={text}\n".encode())
    for name in sorted(arrays):
        array = arrays[name]
        whole.update(f"{name}{array.dtype.str}{array.shape}\n".encode())
        whole.update(array.reshape(-1).view("uint8").data)
    return whole.hexdigest()
