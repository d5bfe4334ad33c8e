"""The endpoints below /api/oauth and /.well-known."""
