"""Lists and counts of users, keys and Spaces for the people and programs that look at them; none of them changes a row."""
