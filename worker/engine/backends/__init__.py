"""What runs a model behind the one interface of a predictor; each file knows one library."""
