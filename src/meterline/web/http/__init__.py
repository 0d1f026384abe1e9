"""The web server: routes, connections, TLS, passwords, and the file that configures them."""
