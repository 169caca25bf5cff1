"""Pictures in which the players outside a coalition are hidden."""
