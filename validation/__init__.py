"""How often the intervals and the promotion gate are wrong; `make calibrate` measures it."""
