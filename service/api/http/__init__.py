"""HTTP as every route speaks it: problems, headers, limits, metrics."""
