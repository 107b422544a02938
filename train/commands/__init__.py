"""One file a group of commands of ``python -m train``."""
