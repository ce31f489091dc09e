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
    study_text,
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
from engine.spec.text import line_of, rewritten, to_toml, told_problem

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
    "line_of",
    "load_study",
    "parse_study",
    "preset_names",
    "preset_text",
    "rewritten",
    "study_problems",
    "study_text",
    "to_toml",
    "told_problem",
    "with_settings",
]
