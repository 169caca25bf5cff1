"""What an explanation rests on: every coalition and its scores, from which it can be recomputed."""
