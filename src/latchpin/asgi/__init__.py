"""The layers between the server and the routes: what is true of every request before a route sees it."""
