"""How explanations stand: found, awaited, and written as the documents that clients see."""
