"""Figures, measured by hand with `make bench` and never as a test: each is a ratio, or a pair of times, of one run on one machine."""
