"""Optimisers against each other on synthetic problems, and a rehearsed campaign to look at."""
