"""Lion: the sign of an average of gradients (Chen et al. 2023)."""

from engine.registry import optimizer


@optimizer("lion", "the sign of an average of the gradients", source="Chen et al. 2023, algorithm 2")
def lion():
    import optax

    return optax.scale_by_lion()
