"""Sections of the tree -> the parts of a Manifest. Every problem is collected."""
