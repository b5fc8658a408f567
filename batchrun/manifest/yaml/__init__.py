"""YAML 1.2 text -> a tree that knows where everything stands.

composer.py  text -> the tree
document.py  the tree, and its places in messages
scalars.py   the value of a scalar; the one spelling of a number
section.py   one mapping, read key by key
slips.py     text that YAML took for something else
syntax.py    the mistake in text that is no YAML
"""
