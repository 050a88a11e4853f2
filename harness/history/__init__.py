"""Latency over commits: what years of files hold, where it changed, and which layer moved."""
