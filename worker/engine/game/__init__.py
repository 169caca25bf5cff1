"""Players, coalitions, and the trees over them."""
