"""Traces: the order of effects on the world, frozen. See README.md in this folder."""
