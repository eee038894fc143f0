"""Content tokens and their licence counts."""
