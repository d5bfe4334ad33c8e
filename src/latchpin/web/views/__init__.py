"""What each page's template is given: one frozen dataclass per page, grouped as the pages are."""
