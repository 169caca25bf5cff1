"""Paints pictures in which the players outside a coalition are hidden."""
