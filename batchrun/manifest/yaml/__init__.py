"""YAML 1.2 text -> a tree that knows where everything stands.

composer.py  text -> the tree
document.py  the tree, and how messages show a place in it
scalars.py   what a scalar means; the one spelling of a number
section.py   one mapping, read key by key
slips.py     text that YAML took for something else
syntax.py    text that is no YAML: what is wrong with it
"""
