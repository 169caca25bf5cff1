"""Seals the record of each explanation that ends with a result."""
