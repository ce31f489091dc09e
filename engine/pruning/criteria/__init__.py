"""Criteria: functions that give every weight of a layer a score; the lowest scores are pruned.

A criterion is a function of one layer, `w` (see `base.LayerWeights`), registered with `engine.registry.criterion`. It
returns scores shaped as the kernel. They must be comparable across layers, since global scope ranks the weights of all
layers together: a score that depends on a layer's size or scale alone would prune whole layers. Keyword-only
parameters with defaults are what a study may set in `prune.parameters`.
"""
