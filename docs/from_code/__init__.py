"""What docs/write.py writes, by where it comes from."""
