"""The HTTP side: /metrics, health, readiness and the page at /."""
