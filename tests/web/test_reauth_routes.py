"""The password is asked for again on every page that administers, and the route says so."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from litestar import Router
from litestar.handlers import HTTPRouteHandler

from latchpin.web import reauth, routes

# Nothing changes there: a name that was moved, and a form that was taken back.
_LETS = frozenset[str]()


def _changing(router: Router) -> Iterator[HTTPRouteHandler]:
    for route in router.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods - {"GET", "HEAD", "OPTIONS"}:
                yield handler


def test_every_form_of_the_administration_needs_a_recent_password() -> None:
    """Whoever adds a page that changes something says from where its user comes back, or the page is listed here with its reason."""
    handler_names = {handler.fn.__name__ for handler in _changing(routes.ADMINISTRATORS) if reauth.OPTION not in handler.opt}

    assert handler_names == _LETS


def test_a_route_that_needs_a_recent_password_changes_things_in_the_transaction_that_asks_for_it() -> None:
    """The option alone checks the password that came; that one has to come is checked where the transaction ends."""
    needing = [handler for handler in _changing(routes.ADMINISTRATORS) if reauth.OPTION in handler.opt]
    sources = {handler.fn.__name__: inspect.getsource(handler.fn) for handler in needing}

    assert len(needing) > 20
    for name, source in sources.items():
        assert source.count("reauth.transaction(ctx)") == 1, name
        assert "database.transaction(" not in source, name
