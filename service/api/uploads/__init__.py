"""Reading of request bodies."""
