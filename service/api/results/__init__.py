"""What was found, as arrays, curves and pictures."""
