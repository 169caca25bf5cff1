"""Attributions of image classifiers: numbers in, numbers out."""
