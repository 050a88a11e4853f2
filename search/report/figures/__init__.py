"""How a figure is said, tabled and drawn, whatever it is about."""
