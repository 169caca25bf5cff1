"""Running coalitions through the model, in batches."""
