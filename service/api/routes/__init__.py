"""The routes that are not about results."""
