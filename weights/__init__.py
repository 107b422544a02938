"""Find and load networks: from a name or any weight file."""
