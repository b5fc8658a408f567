"""The sections of the page: one module each, which says what is measured and against what."""
