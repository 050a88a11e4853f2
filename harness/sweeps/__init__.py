"""Many networks in one go: every width of every group, measured or compiled, and the verdict put to a device."""
