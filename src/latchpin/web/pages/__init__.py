"""Route handlers, one module for each group of pages. A handler opens the transaction, calls one feature, and draws the page."""
