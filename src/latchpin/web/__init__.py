"""The Control Center: server-rendered pages for people, one stylesheet, a little script, no build step."""
