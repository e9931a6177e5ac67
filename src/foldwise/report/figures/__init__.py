"""The figures, by subject; nothing else knows matplotlib."""
