"""Version 1 of the public API: routes and their schemas together, one file per kind of resource."""
