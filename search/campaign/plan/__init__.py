"""How long a campaign will take here, and what it does in the time that it was given."""
