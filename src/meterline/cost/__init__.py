"""What energy costs: from the registers of the meter, at the price that held when they rose; never from power.

tariffs    what the configuration says about prices, checked
when       hours, days of the week, dates
calendar   when which price holds: local days, billing periods, hours; across changes of the clock
pricing    a rise of a register, cut by time and by price
ledger     what is written down: lines of a day, totals
account    the engine: a register rose, so book it
record     an account in a form for JSON, and back
wall       the clock of the machine, as far as it can be believed
book       one meter and its account
books      the accounts of all meters: fed, shown and kept
bill       days and months as a table, and compared with a bill
"""
