"""Reading of explanations and batches, and their documents."""
