"""What the tests stand on: real databases, a real server, and short ways to make people and keys."""
