"""The colours: one accent, calm until something is wrong, and a violet that only production wears.

Three themes: dark, light, and plain for NO_COLOR, which uses the terminal's own two colours and tells things apart by
shape, word and weight. The roles that use them are in `app.tcss`.
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
            *("muted", "faint", "line", "strong", "spark", "prod", "cursor", "cursor-blurred", "heading"),
            *("ansi-background", "ansi-foreground"),
        ),
        "ansi_default",
    ),
)

THEMES = (DARK, LIGHT, PLAIN)
