"""Channels followed through one inference: which layers it runs, where every channel goes, what can be left out, what slices it away."""
