"""The study: a question in one TOML file, typed, validated and hashed."""

from engine.spec.differences import Difference, differences
from engine.spec.problems import Problem
from engine.spec.read import (
    EXPERIMENTS,
    QUICK,
    load_study,
    parse_study,
    preset_names,
    preset_text,
    study_problems,
    to_toml,
    with_settings,
)
from engine.spec.recipe import (
    Criterion,
    Data,
    EarlyBird,
    LayerKind,
    Network,
    Prune,
    Recipe,
    Restart,
    Train,
    Treatment,
)
from engine.spec.study import ARM_KINDS, CONTROLS, DRAWN, SEED_STRIDE, Arm, ArmKind, Study, digest

__all__ = [
    "ARM_KINDS",
    "CONTROLS",
    "DRAWN",
    "EXPERIMENTS",
    "QUICK",
    "SEED_STRIDE",
    "Arm",
    "ArmKind",
    "Criterion",
    "Data",
    "Difference",
    "EarlyBird",
    "LayerKind",
    "Network",
    "Problem",
    "Prune",
    "Recipe",
    "Restart",
    "Study",
    "Train",
    "Treatment",
    "differences",
    "digest",
    "load_study",
    "parse_study",
    "preset_names",
    "preset_text",
    "study_problems",
    "to_toml",
    "with_settings",
]
