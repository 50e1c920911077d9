"""The control plane: what is true of an environment, how far behind it is, and what is probably wrong.

`collect` reads one environment into a snapshot, `health` and `diagnose` judge it by rules that are pure functions,
`poller` does so again and again for the faces. It reaches the clouds only through the protocols in `sources`, so it
knows no SDK and no wire.
"""
