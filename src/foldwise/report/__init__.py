"""What people look at: figures, tables, the model card and the page."""
