"""What may be chosen: configurations, recipes, legal widths and goals, with the latency known of each."""
