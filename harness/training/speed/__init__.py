"""How fast training runs here, in every way that it can: tried, chosen, remembered."""
