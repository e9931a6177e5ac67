"""What we learn from: sources, checks, and the prepared dataset."""
