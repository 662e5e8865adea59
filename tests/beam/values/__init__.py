"""The judge of values: its cases, its driver and its players."""
