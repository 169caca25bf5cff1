"""All routes except those of results."""
