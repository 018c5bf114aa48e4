"""What do several operators share? Bases, arithmetic, and conversions from a format."""
