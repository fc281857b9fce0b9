"""The YAML experiment config: its source text, its schema, how it is loaded."""
