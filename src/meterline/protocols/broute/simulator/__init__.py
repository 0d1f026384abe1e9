"""A Wi-SUN module and B-route meters that do not exist, from the command down to the radio."""
