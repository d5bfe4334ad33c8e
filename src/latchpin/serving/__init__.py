"""The processes of `latchpin serve`: the supervisor, the server processes, and how each ends with its parent."""
