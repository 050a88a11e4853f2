"""What the search lowers: a latency, or a compiler's own cost; kinds of numbers that never share a column."""
