"""The study: a question in one TOML file, typed, validated and hashed."""

from engine.spec.model import (
    ARM_KINDS,
    CONTROLS,
    Arm,
    ArmKind,
    Data,
    LayerKind,
    Network,
    Prune,
    Recipe,
    Study,
    Train,
    digest,
)
from engine.spec.problems import Problem
from engine.spec.read import (
    load_study,
    parse_study,
    preset_names,
    preset_text,
    study_problems,
    to_toml,
    with_settings,
)

__all__ = [
    "ARM_KINDS",
    "CONTROLS",
    "Arm",
    "ArmKind",
    "Data",
    "LayerKind",
    "Network",
    "Problem",
    "Prune",
    "Recipe",
    "Study",
    "Train",
    "digest",
    "load_study",
    "parse_study",
    "preset_names",
    "preset_text",
    "study_problems",
    "to_toml",
    "with_settings",
]
