"""Who makes the fits that a search asks for."""
