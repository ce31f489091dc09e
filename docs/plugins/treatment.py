"""Survivors restart between their initial and their trained weights."""

from engine.experiment.treatments import Read, Treatment
from engine.networks import Snapshot
from engine.registry import treatment


@treatment("between", "between the initial and the trained weights", source="an example")
class Between(Treatment):
    def __init__(self, *, share: float = 0.5):
        self.share = share

    @property
    def reads(self):
        return (Read("parent"),)

    def weights(self, w):
        initial, trained = w.initial.params, w.final("parent")
        params = {name: (1 - self.share) * initial[name] + self.share * trained.params[name] for name in initial}
        return Snapshot(params, trained.state)
