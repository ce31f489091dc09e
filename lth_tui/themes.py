"""Colours: the themes to choose from, and what the terminal's sixteen colours are within those that have more.

All text in them has a contrast of 4.5 to 1 with what it stands on, in high contrast 7 to 1, as WCAG counts it.
"""

from typing import Any

DEFAULT = "dark"
SIXTEEN = ("ansi-dark", "ansi-light")
"""For terminals of sixteen colours, which are as the terminal has them."""
THEMES = (DEFAULT, "light", "high-contrast", "dracula", "rose-pine", *SIXTEEN)

OWN: dict[str, dict[str, Any]] = {
    "dark": {
        "dark": True,
        "foreground": "#e0e0e0",
        "primary": "#0178d4",
        "secondary": "#004578",
        "success": "#4ebf71",
        "warning": "#ffa62b",
        "error": "#ba3c5b",
        "accent": "#ffa62b",
        "variables": {"block-cursor-background": "#0069b9"},
    },
    "light": {
        "dark": False,
        "background": "#fbfbf8",
        "surface": "#efefea",
        "panel": "#e4e4dd",
        "foreground": "#1c1c1c",
        "primary": "#00508f",
        "secondary": "#3d4c8a",
        "success": "#0b5a2c",
        "warning": "#6b4400",
        "error": "#9c1027",
        "accent": "#7a3200",
        "variables": {"footer-key-foreground": "#00508f"},
    },
    "high-contrast": {
        "dark": True,
        "background": "#000000",
        "surface": "#000000",
        "panel": "#1a1a1a",
        "foreground": "#ffffff",
        "primary": "#6cb6ff",
        "secondary": "#b3a1ff",
        "success": "#5dff8f",
        "warning": "#ffd400",
        "error": "#ff9c9c",
        "accent": "#ffd400",
        "text_alpha": 1.0,
        "variables": {"footer-key-foreground": "#ffd400", "text-muted": "#c8c8c8", "border": "#ffffff"},
    },
}
"""The themes of this program, as Textual's Theme takes them."""

ON_DARK = (
    ("#121212", "#e0e0e0"),
    ("#000000", "#ff8c8c", "#5ce65c", "#d9b300", "#8fb4ff", "#ff9cff", "#00cfc0", "#c8c8c8"),
    ("#9a9a9a", "#ff9e8f", "#8dff8d", "#ffe066", "#a8bfff", "#ffb3ff", "#66e5ff", "#ffffff"),
)
"""Background and foreground, the eight colours, and the eight bright ones."""
ON_LIGHT = (
    ("#fbfbf8", "#1c1c1c"),
    ("#000000", "#a00018", "#14591f", "#654600", "#123f9c", "#7a1580", "#005a66", "#4a4a4a"),
    ("#5c5c5c", "#a3340c", "#3b5400", "#5c4a00", "#3b32a8", "#93005c", "#00577f", "#2a2a2a"),
)
