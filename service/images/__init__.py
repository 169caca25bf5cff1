"""Decoding of uploaded pictures and label maps."""
