"""YAML 1.2 text -> a tree that knows where everything stands."""
