"""What travels over HTTP: requests, answers, and the documents in them."""
