"""Pictures as they lie in files: decoded, divided into splits, kept in a cache."""
