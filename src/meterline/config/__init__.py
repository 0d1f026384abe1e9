"""The configuration file, read into frozen dataclasses. Each fault is reported with its place.

yaml_file  the file → parsed texts
structure  parsed texts → dataclasses
schema     the dataclasses of the meters, and the checks between them
settings   the settings of a meter, for the page and the bug report, with masks
"""
