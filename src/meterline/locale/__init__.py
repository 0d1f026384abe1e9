"""Texts for people, and how to write amounts."""
