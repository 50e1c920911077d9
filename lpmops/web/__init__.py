"""The app in a browser: textual-serve carries the terminal, this room decides who may reach it and how it begins and ends.

Each browser window has a process of its own, which is `lpmops` itself. The server holds no data of the environments and reads no service; it passes
keys in and drawing out. Nothing here is loaded before `lpmops serve` runs, except `child`, which is light.
"""
