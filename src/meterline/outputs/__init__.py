"""Where readings are sent: one folder for each kind of receiver."""
