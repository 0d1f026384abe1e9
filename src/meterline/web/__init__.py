"""The web server: `http` serves /metrics, health and readiness, with TLS and passwords; `page` is the page at /."""
