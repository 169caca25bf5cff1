"""Measures the engine beside shap and beside the bare model, in the same run."""
