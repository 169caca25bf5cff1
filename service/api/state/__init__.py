"""Reads explanations and batches from Redis and serializes them."""
