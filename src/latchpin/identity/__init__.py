"""Who is calling and what may they do: the core. principal, scopes, roles and credentials are pure."""
