"""Translation between what the service stores and what the engine computes."""
