"""What the numbers mean: verdicts, ledgers, staircases and predictions from recorded samples."""
