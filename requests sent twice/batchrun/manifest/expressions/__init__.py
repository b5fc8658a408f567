"""Values that use other names: templates and `$` operators."""
