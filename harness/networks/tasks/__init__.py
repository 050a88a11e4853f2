"""What networks are trained for and judged by: a task is a loss, a metric with every picture's part in it, and what the outputs mean."""
