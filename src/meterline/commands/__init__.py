"""The commands of the program, one file each: they import what they need, so that `run` stays light."""
