"""The public API: its errors, and its routes."""
