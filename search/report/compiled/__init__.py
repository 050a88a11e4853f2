"""The report of a campaign that lowered compiled cost: nothing in it was measured."""
