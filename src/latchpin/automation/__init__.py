"""Agents: what they are, how they are defined, and the versions they have had.

`definitions` is the pure part: YAML text in, a checked and frozen definition out.
"""
