"""Predictors for each library that runs models; each file knows one library."""
