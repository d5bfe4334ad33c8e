"""The ASGI layers between the server and the routes, which every request passes through."""
