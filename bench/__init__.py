"""What meterline costs, measured on this machine beside a reference in the same run: `make bench`.

A figure alone says what machine it was; the ratio to the reference travels. Nothing here passes or fails. Linux only: CPU and
memory are read from /proc.
"""
