"""The configuration file: text → `yaml_file` → `structure` → the dataclasses of `schema`, each fault with its place."""
