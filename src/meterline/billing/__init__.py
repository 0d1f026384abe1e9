"""What energy costs: from the registers of the meter, at the price that held when they rose; never from power.

tariff           what the configuration says about prices, checked
time_conditions  hours, days of the week, dates
public_holidays  holidays of a country, from the library of that name
calendar         when which price holds: local days, billing periods, hours; across changes of the clock
pricing          a rise of a register, cut by time and by price
totals           what is written down: lines of a day, totals
account          the engine: a register rose, so book it
standing_charge  the charge of each day since the account began, once
mark             what a register said, and when
codec            an account in a form for JSON, and back
clock            the clock of the machine, as far as it can be believed
contract_check   whether the prices are for the contract that the meter names
price_lapses     prices, levies and holidays that run out
meter_account    one meter and its account
billing          the accounts of all meters: fed, shown and kept
invoice          days and months as a table, and compared with a bill
"""
