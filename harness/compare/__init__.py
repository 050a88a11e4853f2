"""The regression gate: what is held against what, by which limits, live or between two files."""
