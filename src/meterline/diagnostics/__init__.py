"""Checks for a meter that cannot be read: one file for each subject. A check returns findings and prints nothing.

link_check        one link, from the outside to the meter
serial_device     a serial device before it is opened
tcp_bridge        a TCP bridge before it is connected to
running_instance  a meterline that runs on this machine
host              this machine: clock, state folder, port
report            the zip for a bug report, without data that identifies the household
"""
