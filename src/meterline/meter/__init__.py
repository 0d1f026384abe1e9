"""One meter: what it says, what of that is believed, for how long, and the text that /metrics shows of it."""
