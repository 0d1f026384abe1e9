"""The running program: `supervisor` reads the links and opens them again, `detect` recognises protocols, `systemd` notifies."""
