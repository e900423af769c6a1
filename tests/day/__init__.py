"""A day of mixed traffic on a server that is killed and started again, and what must be true in the evening."""
