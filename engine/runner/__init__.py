"""Walks the graph of rounds: packs ready ones into lanes, proves each, keeps it, and obeys pause and stop."""

from engine.runner.run import run

__all__ = ["run"]
