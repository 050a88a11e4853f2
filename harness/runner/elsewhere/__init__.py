"""Other people's repositories: fixtures for their tests, and our suites where no checkout is."""
