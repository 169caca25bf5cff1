"""Results over HTTP: arrays, regions, curves and pictures."""
