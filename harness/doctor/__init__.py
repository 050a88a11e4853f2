"""Is this machine, this board ready to measure: what stands in the way, and what to do about it."""
