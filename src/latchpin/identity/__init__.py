"""Authentication and authorization: who is calling, and what they may do. principal, scopes, roles and credentials are pure."""
