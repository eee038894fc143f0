"""Alerts: one open problem about one subject, told once, kept true, and resolved by itself."""
