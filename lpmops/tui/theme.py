"""The colours: one accent, calm until something is wrong, and a violet that only production wears.

Four themes: dark, light, the terminal's own sixteen colours, and plain for NO_COLOR, which uses its two and tells things
apart by shape, word and weight. The roles that use them are in `app.tcss`.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="lpmops-dark",
    dark=True,
    primary="#5bb8c4",
    secondary="#5bb8c4",
    accent="#5bb8c4",
    foreground="#ccd3db",
    background="#0f1318",
    surface="#151a21",
    panel="#1c232c",
    success="#6fb58a",
    warning="#e3b25a",
    error="#f0707a",
    variables={
        "muted": "#8490a0",
        "faint": "#465160",
        "line": "#3a4553",
        "strong": "#eef2f6",
        "spark": "#447f8a",
        "prod": "#b794f6",
        "past": "#d99a4e",
        "past-text": "#0f1318",
        "past-ground": "#261d13",
        "cursor": "#22303b",
        "cursor-blurred": "#1a222b",
        "heading": "#151b22",
        "input-selection-background": "#5bb8c4 30%",
        "input-cursor-background": "#ccd3db",
        "input-cursor-foreground": "#0f1318",
    },
)

LIGHT = Theme(
    name="lpmops-light",
    dark=False,
    primary="#0b7285",
    secondary="#0b7285",
    accent="#0b7285",
    foreground="#2b323b",
    background="#fbfbf9",
    surface="#f3f4f2",
    panel="#e9ebe9",
    success="#2a7d4f",
    warning="#9a5b00",
    error="#c0263a",
    variables={
        "muted": "#67717d",
        "faint": "#b3bac2",
        "line": "#c3c9cf",
        "strong": "#11161c",
        "spark": "#7fb3bc",
        "prod": "#6b3fc0",
        "past": "#a85f00",
        "past-text": "#fbfbf9",
        "past-ground": "#f7ead9",
        "cursor": "#d7eaed",
        "cursor-blurred": "#e9eeee",
        "heading": "#f1f2f0",
        "input-selection-background": "#0b7285 25%",
        "input-cursor-background": "#2b323b",
        "input-cursor-foreground": "#fbfbf9",
    },
)

PLAIN = Theme(
    name="lpmops-plain",
    dark=True,
    ansi=True,
    primary="ansi_default",
    secondary="ansi_default",
    accent="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    success="ansi_default",
    warning="ansi_default",
    error="ansi_default",
    variables=dict.fromkeys(
        (
            *(
                "muted",
                "faint",
                "line",
                "strong",
                "spark",
                "prod",
                "past",
                "past-text",
                "past-ground",
                "cursor",
                "cursor-blurred",
                "heading",
            ),
            *("ansi-background", "ansi-foreground"),
        ),
        "ansi_default",
    ),
)

# The terminal's own sixteen colours, for those who have chosen them with care.
TERMINAL = Theme(
    name="lpmops-terminal",
    dark=True,
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        "muted": "ansi_bright_black",
        "faint": "ansi_bright_black",
        "line": "ansi_bright_black",
        "strong": "ansi_default",
        "spark": "ansi_cyan",
        "prod": "ansi_magenta",
        "past": "ansi_yellow",
        "past-text": "ansi_black",
        "past-ground": "ansi_default",
        "cursor": "ansi_bright_black",
        "cursor-blurred": "ansi_default",
        "heading": "ansi_default",
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "input-selection-background": "ansi_bright_black",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_black",
    },
)

THEMES = (DARK, LIGHT, TERMINAL, PLAIN)
BY_NAME = {"dark": DARK, "light": LIGHT, "terminal": TERMINAL}
