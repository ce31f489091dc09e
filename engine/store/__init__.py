"""What is kept: a folder a run with its events in SQLite, and finished rounds as safetensors.

The store is the only door between the engine and the screens: the engine writes, screens follow, and
control goes back as requests in the run's database.
"""

from engine.store.checkpoints import Checkpoint, CheckpointStore
from engine.store.database import RunFolder
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
from engine.store.health import Amiss, amiss
from engine.store.leases import Lease, Leases
from engine.store.machine import MachineFacts
from engine.store.reading import AT_WORK, NOTE, TITLE, Request, RunReader, Stamped
from engine.store.rounds import RoundStore, StoredRound
from engine.store.runs import ROOM, Store
from engine.store.summary import STATUSES, RoundMean, RunSummary
from engine.store.trash import KEPT_DAYS, Deleted, Trash

__all__ = [
    "AT_WORK",
    "KEPT_DAYS",
    "NOTE",
    "ROOM",
    "STATUSES",
    "TITLE",
    "Amiss",
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
    "InvariantFailed",
    "LaneProgress",
    "LayerCount",
    "Lease",
    "Leases",
    "MachineFacts",
    "Magnitudes",
    "Note",
    "Paused",
    "Progress",
    "Request",
    "ResourceUsage",
    "Resumed",
    "RoundFinished",
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
    "Store",
    "StoredRound",
    "Trash",
    "amiss",
]
