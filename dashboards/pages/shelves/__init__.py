"""The page of the store: its shelves, what lies there, and what it was made from."""
