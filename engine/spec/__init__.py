"""The study: a question in one TOML file, typed, validated and hashed."""

from engine.spec.differences import Difference, differences
from engine.spec.problems import Problem
from engine.spec.read import (
    EXPERIMENTS,
    MAX_STUDY_BYTES,
    QUICK,
    decode_study,
    load_study,
    parse_study,
    preset_names,
    preset_text,
    study_problems,
    study_text,
    with_settings,
)
from engine.spec.recipe import Data, EarlyBird, LayerKind, Network, Prune, Recipe, Restart, Train
from engine.spec.study import SEED_STRIDE, Arm, Study, digest, round_seed
from engine.spec.text import line_of, to_toml, toml_problem, update_toml

__all__ = [
    "EXPERIMENTS",
    "MAX_STUDY_BYTES",
    "QUICK",
    "SEED_STRIDE",
    "Arm",
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
    "decode_study",
    "differences",
    "digest",
    "line_of",
    "load_study",
    "parse_study",
    "preset_names",
    "preset_text",
    "round_seed",
    "study_problems",
    "study_text",
    "to_toml",
    "toml_problem",
    "update_toml",
    "with_settings",
]
