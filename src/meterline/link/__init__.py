"""Links to meters: bytes in and out of a serial device, a TCP bridge or a capture, and why one does not open."""
