"""The papers' studies: cells of a table, each a training."""
