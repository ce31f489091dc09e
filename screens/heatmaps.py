"""Heatmaps."""

from screens.base import LabScreen


class HeatmapsScreen(LabScreen):
    """Heatmaps."""

    MODE = "heatmaps"
