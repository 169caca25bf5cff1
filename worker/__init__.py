"""The process that keeps models and computes explanations: `python -m worker.main`."""
