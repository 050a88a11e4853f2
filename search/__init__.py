"""Choosing pruning configurations by optimisation on known latency."""
