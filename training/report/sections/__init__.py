"""The sections of the page: facts in, markup out."""
