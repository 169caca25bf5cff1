"""Runs coalitions through the model, in batches."""
