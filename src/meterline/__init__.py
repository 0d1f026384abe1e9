"""Reads smart meters at the customer's port and serves them to Prometheus."""

__version__ = "0.1.0"
