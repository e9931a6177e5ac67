"""What we learn: the batched solver, the linear model as numbers, its scores."""
