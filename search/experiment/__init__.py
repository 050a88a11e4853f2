"""The whole study: every network's campaigns and comparisons, and one page about them."""
