"""How a network gets smaller: criteria, schedules and physical channel removal."""
