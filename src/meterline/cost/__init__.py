"""What energy costs: from the registers of the meter, at the price that held when they rose; never from power.

tariffs    what the configuration says about prices, checked
when       hours, days of the week, dates
calendar   when which price holds: local days, billing periods, hours; across changes of the clock
pricing    a rise of a register, cut by time and by price
ledger     what is written down: lines of a day, totals
mark       where a register stood, and whether it can have risen from there
account    the engine: a register rose, so book it
standing   which days have their standing charge
record     an account in a form for JSON, and back
wall       the clock of the machine, as far as it can be believed
book       one meter and its account
books      the accounts of all meters: fed, shown and kept
said       what was said of them in the log
lapses     when prices are not known
agreement  whether the prices are those of the contract that the meter names
bill       days and months as a table, and compared with a bill
"""
