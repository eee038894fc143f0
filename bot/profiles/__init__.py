"""Enrollment profiles: what a device receives at activation."""
