"""The authorization server: OAuth 2.1 and OpenID Connect, one file for each endpoint and grant."""
