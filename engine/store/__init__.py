"""The store: a folder for each run with its events in SQLite, and finished rounds as safetensors files.

It is the only link between engine and screens. The engine writes and screens follow; control goes back as requests in
the run's database.

- `Store`: everything below a home. `RunFolder` writes a run, `RunReader` reads it; a kernel lock makes one process the
  writer.
- **event**: one fact that the engine reports, in order (`events.py`). **Progress**: where the run is now.
- **content key**: 40 hex digits over everything that decides a round's numbers. Runs share rounds by it.
- `RoundStore`: finished rounds, their survivors alone on disk, dense arrays in memory. `CheckpointStore`: rounds in
  training.
"""

from engine.store.doctor import Problem, find_problems
from engine.store.drafts import Drafts
from engine.store.events import (
    ArmPlan,
    CurvePoint,
    DatasetFacts,
    Diverged,
    EarlyBird,
    Event,
    InvariantFailed,
    LaneProgress,
    LayerCount,
    Magnitudes,
    Note,
    Paused,
    Progress,
    ResourceUsage,
    Resumed,
    RoundFinished,
    RoundResult,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    Signal,
    SignalKind,
    Similarity,
)
from engine.store.home import ROOM, Store
from engine.store.locks import Holder, LockLost, RoundLocks
from engine.store.machine import MachineProfile
from engine.store.reading import State, Unreadable
from engine.store.run_db import ACTIVE, NOTE, TITLE, Request, RunFolder, RunReader, Stamped
from engine.store.summary import STATUSES, UNREADABLE, RoundMean, RunSummary
from engine.store.tensors import Checkpoint, CheckpointStore, RoundStore, StoredRound, load_round
from engine.store.trash import KEPT_RUNS, Deleted, Trash

__all__ = [
    "ACTIVE",
    "KEPT_RUNS",
    "NOTE",
    "ROOM",
    "STATUSES",
    "TITLE",
    "UNREADABLE",
    "ArmPlan",
    "Checkpoint",
    "CheckpointStore",
    "CurvePoint",
    "DatasetFacts",
    "Deleted",
    "Diverged",
    "Drafts",
    "EarlyBird",
    "Event",
    "Holder",
    "InvariantFailed",
    "LaneProgress",
    "LayerCount",
    "LockLost",
    "MachineProfile",
    "Magnitudes",
    "Note",
    "Paused",
    "Problem",
    "Progress",
    "Request",
    "ResourceUsage",
    "Resumed",
    "RoundFinished",
    "RoundLocks",
    "RoundMean",
    "RoundResult",
    "RoundStarted",
    "RoundStore",
    "RunFinished",
    "RunFolder",
    "RunReader",
    "RunResumed",
    "RunStarted",
    "RunSummary",
    "Signal",
    "SignalKind",
    "Similarity",
    "Stamped",
    "State",
    "Store",
    "StoredRound",
    "Trash",
    "Unreadable",
    "find_problems",
    "load_round",
]
