"""What a campaign is on disk: its request, trials, journal, outcome and tuned networks."""
