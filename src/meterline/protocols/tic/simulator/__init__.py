"""A simulated Linky.

simulate  flags of `meterline simulate tic`, and the meters of `meterline demo`
meter     the meter: its frames
groups    the groups of a frame
state     registers, calendar and peaks
"""
