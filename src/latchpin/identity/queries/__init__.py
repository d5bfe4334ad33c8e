"""Lists and counts of users, keys and Spaces for pages and the API; nothing here changes a row."""
