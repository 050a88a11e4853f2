"""From samples to a judgement: undisturbed latency, faster or slower, and how often that errs."""
