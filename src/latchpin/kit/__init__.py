"""Small domain-free helpers: the clock, base62, cursors."""
