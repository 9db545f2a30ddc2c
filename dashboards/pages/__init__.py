"""The pages: one module each, with ``page(store, query) -> Page``."""
