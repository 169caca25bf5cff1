"""Measures the engine beside shap and the bare model, and the service under load."""
