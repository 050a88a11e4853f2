"""The final comparison: who enters, tuned alike, answered on the test split, measured in turns."""
