"""What pytest sees: the plugin with its options and fixtures, the clock of a device, the regression gate."""
