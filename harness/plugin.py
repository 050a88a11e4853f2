"""pytest options, fixtures and hooks of the harness."""
