"""HTTP concerns common to all routes: problems, headers, limits, metrics."""
