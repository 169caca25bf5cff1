"""Faithfulness of attributions."""
