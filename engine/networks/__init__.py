"""The networks: their layers as plain shapes here, their computation in `engine.networks.build` (which imports JAX)."""

from engine.networks.shapes import ARCHITECTURES, LayerShape, computed, image_problem, layer_shapes, weight_count

__all__ = ["ARCHITECTURES", "LayerShape", "computed", "image_problem", "layer_shapes", "weight_count"]
