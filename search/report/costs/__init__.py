"""Which part of the dense network costs what, and what to prune next: found, explained and told."""
