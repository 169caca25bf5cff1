"""Computes attributions of image classifiers; knows only arrays and functions."""
