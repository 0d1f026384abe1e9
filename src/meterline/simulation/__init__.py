"""Parts that all simulated meters share.

household  power and voltage of a household, as functions of the time
line       the line of a meter that sends frames unasked
responder  the line of a meter that sends replies only
place      where a simulated meter is reached: a pseudo-terminal or a TCP port
flags      values of the flags of `meterline simulate`
"""
