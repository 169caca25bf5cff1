"""The life of an explanation in Redis, from acceptance to removal."""
