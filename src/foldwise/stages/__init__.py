"""What DVC calls: each stage reads settings, loads, computes, saves, tracks."""
