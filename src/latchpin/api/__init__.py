"""The public API: the gate in front of it, its errors, and its routes."""
