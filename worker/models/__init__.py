"""The models a worker serves: the models file, loading, preprocessing, digests, cards."""
