"""How other classifiers do: each tuned, refitted and measured like the main job's model."""
