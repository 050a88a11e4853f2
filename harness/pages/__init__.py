"""What a person sees of records: tables, pictures of staircases, the page about devices, a CI runner's summary."""
