"""What clients ask of explanations, batches, models and the server itself; one file a resource."""
