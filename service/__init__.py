"""Shapshot's service: HTTP in, jobs out, results and heatmaps back."""
