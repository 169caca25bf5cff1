"""Translates the configs of models that Keras 2 wrote for Keras 3."""
