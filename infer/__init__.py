"""Pictures and weights: files in, better files out. Knows pictures, never trains."""
