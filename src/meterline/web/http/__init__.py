"""The web server and its configuration.

server      routes, sockets, addresses
connections the bound on open connections, fair among addresses; TLS of each
middleware  in front of all routes: passwords, configured headers, time-out of answers
basic_auth  user names and passwords, checked against bcrypt hashes
web_config  the file of `--web.config.file`, read and checked
reloading   the web configuration in force, read again after a change
tls         an SSLContext from the configuration
"""
