"""Live."""

from screens.base import LabScreen


class LiveScreen(LabScreen):
    """Live."""

    MODE = "live"
