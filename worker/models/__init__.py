"""The models a worker serves: the file that lists them, loading, preprocessing, digest, card."""
