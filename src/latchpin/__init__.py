"""Latchpin: a self-hosted control center for web-data agents.

Its API accepts an API key or an OAuth access token; the command
line, the server and the pages all work on the same database.
"""

__version__ = "0.1.0"
